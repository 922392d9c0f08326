"""What goes into a structure set, checked as a whole before a byte is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from imaging.contours.exact import PlanarContour
from imaging.ct.series import ImageSeries
from imaging.errors import StructureSetNotWritable
from imaging.rtstruct.roi_numbers import roi_numbers
from imaging.structures import Structure

LARGEST_NUMBER = 2**31 - 1  # VR IS
RESEARCH_USE = "For research use, not approved."


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiContours:
    """One ROI to write: its catalogue structure, the name it goes out under, its polygons and a description.

    `volume_mm3` is needed where holes are polygons of their own; without it the polygons' areas are added up.
    `number` is its ROI Number; without one it gets, in order, the lowest that no ROI of the set asks for.
    """

    structure: Structure
    name: str
    contours: Sequence[PlanarContour]
    description: str = ""
    volume_mm3: float | None = None
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class Producer:
    """Who made the contours: the node as equipment, and the model as algorithm."""

    manufacturer: str
    model_name: str
    software_version: str
    algorithm_name: str
    algorithm_version: str

    @property
    def generation_description(self) -> str:
        """The model's name and version as ROI Generation Description (3006,0038) holds it, at most 64 characters."""
        return f"{self.algorithm_name} {self.algorithm_version}, research use"


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureSetRequest:
    """Everything that goes into one structure set; the same request makes the same bytes.

    `created` is time-zone aware; the file states it as wall-clock time in its zone, or in the zone that the CT states.
    """

    series: ImageSeries
    rois: Sequence[RoiContours]
    label: str
    description: str
    sop_instance_uid: str
    series_instance_uid: str
    created: datetime
    producer: Producer
    series_description: str = "Contour Node structures"
    series_number: int = 9001
    explicit_vr: bool = False
    decimals: int = 4
    predecessor_uid: str = ""  # SOP Instance UID of the structure set that this one replaces


def check_request(request: StructureSetRequest) -> None:
    """Accept a request that makes a valid structure set; StructureSetNotWritable names what does not fit."""
    if not request.rois:
        raise StructureSetNotWritable("a structure set needs at least one ROI, and there is none")
    if request.created.tzinfo is None:
        raise StructureSetNotWritable("the time of creation has no time zone")
    if not 0 <= request.decimals <= 8:
        raise StructureSetNotWritable(f"{request.decimals} decimals: a coordinate is written with 0 to 8")
    _check_length("Structure Set Label (3006,0002)", request.label, 16)
    _check_length("Series Description (0008,103E)", request.series_description, 64)
    _check_length("Structure Set Description (3006,0006)", described(request), 1024)
    _check_length("ROI Generation Description (3006,0038)", request.producer.generation_description, 64)
    _check_numbers(request.rois)
    names: set[str] = set()
    for roi in request.rois:
        _check_length("ROI Name (3006,0026)", roi.name, 64)
        if roi.name.casefold() in names:
            raise StructureSetNotWritable(
                f"ROI name '{roi.name}' occurs twice (case does not tell names apart)"
            )
        names.add(roi.name.casefold())
        _check_contours(roi, len(request.series.slices))


def numbered(rois: Sequence[RoiContours]) -> list[tuple[int, RoiContours]]:
    """Return each ROI with its number, in order: the one that it asks for, or else the lowest that no ROI asks for."""
    return list(zip(roi_numbers([roi.number for roi in rois]), rois, strict=True))


def described(request: StructureSetRequest) -> str:
    """Return the structure set's description, which always states that it is for research and not approved."""
    given = request.description.strip()
    return given if RESEARCH_USE in given else f"{given} {RESEARCH_USE}".strip()


def _check_numbers(rois: Sequence[RoiContours]) -> None:
    names: dict[int, str] = {}
    for roi in rois:
        if roi.number is None:
            continue
        if not 1 <= roi.number <= LARGEST_NUMBER:
            found = f"ROI '{roi.name}' has ROI Number (3006,0022) {roi.number}"
            raise StructureSetNotWritable(f"{found}; numbers from 1 to {LARGEST_NUMBER} can be written")
        if roi.number in names:
            found = f"ROIs '{names[roi.number]}' and '{roi.name}' both have ROI Number (3006,0022)"
            raise StructureSetNotWritable(f"{found} {roi.number}; give each its own")
        names[roi.number] = roi.name


def _check_length(attribute: str, text: str, limit: int) -> None:
    if not text.strip() or text != text.strip() or len(text) > limit or "\\" in text:
        rule = f"1 to {limit} characters, no backslash, no space at either end"
        raise StructureSetNotWritable(f"{attribute} is '{text}': {rule}")


def _check_contours(roi: RoiContours, slice_count: int) -> None:
    for contour in roi.contours:
        if len(contour.points_lps) < 3:
            found = f"ROI '{roi.name}' has a contour of {len(contour.points_lps)} points on slice"
            raise StructureSetNotWritable(f"{found} {contour.slice_index}; a closed contour has at least 3")
        if not 0 <= contour.slice_index < slice_count:
            found = f"ROI '{roi.name}' has a contour on slice {contour.slice_index}"
            raise StructureSetNotWritable(f"{found}, the CT has slices 0 to {slice_count - 1}")

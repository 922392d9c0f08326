"""RT Structure Sets of any system, read into ROIs joined by number."""

import io
import math
from collections.abc import Iterable, Iterator, Mapping

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import RTStructureSetStorage

from imaging.contours.structure_set import Roi, StructureSet
from imaging.dicom.elements import Stream, open_stream
from imaging.errors import PARSE_ERRORS, StructureSetUnreadable
from imaging.rtstruct.contour_decoding import RoiItem, split_contours
from imaging.rtstruct.roi_numbers import whole_number


def read_structure_set(data: bytes) -> StructureSet:
    """Return the structure set in a Part 10 file, in any uncompressed or deflated transfer syntax.

    The three ROI sequences are joined by ROI Number, whatever their order. An ROI that occurs in only one of them is
    kept; one without contours has none. An ROI with a contour that cannot be read, or whose number is used twice, keeps
    its name and has a fault instead of contours. Raises StructureSetUnreadable where the bytes are not a structure set.
    """
    try:
        return _structure_set(open_stream(data))
    except PARSE_ERRORS as error:
        raise StructureSetUnreadable(f"the file cannot be read as DICOM: {error}") from error


def _structure_set(stream: Stream) -> StructureSet:
    rest, items = split_contours(stream)
    dataset = read_dataset(io.BytesIO(rest), not stream.encoding.explicit, stream.encoding.little)
    if _text(dataset, "SOPClassUID") != RTStructureSetStorage:
        found = f"SOP Class UID (0008,0016) is '{_text(dataset, 'SOPClassUID')}'"
        raise StructureSetUnreadable(f"{found}, not RT Structure Set Storage")
    series = list(_referenced_series(dataset))
    described = _by_number(_sequence(dataset, "StructureSetROISequence"), "ROINumber")
    observed = _by_number(_sequence(dataset, "RTROIObservationsSequence"), "ReferencedROINumber")
    drawn: dict[int, list[RoiItem]] = {}
    for item in items:
        if item.number is not None:
            drawn.setdefault(item.number, []).append(item)
    return StructureSet(
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        label=_text(dataset, "StructureSetLabel"),
        approval_status=_text(dataset, "ApprovalStatus"),
        frame_of_reference_uids=_frames(dataset),
        referenced_series_uids=tuple(_text(item, "SeriesInstanceUID") for item in series),
        referenced_image_uids=frozenset(
            _text(image, "ReferencedSOPInstanceUID")
            for item in series
            for image in _sequence(item, "ContourImageSequence")
        ),
        rois=tuple(_rois(described, observed, drawn)),
        notes=tuple(_notes(dataset, items)),
    )


def _rois(
    described: Mapping[int, list[Dataset]],
    observed: Mapping[int, list[Dataset]],
    drawn: Mapping[int, list[RoiItem]],
) -> Iterator[Roi]:
    for number in sorted(described.keys() | drawn.keys()):
        rois, shapes = described.get(number, []), drawn.get(number, [])
        roi = rois[0] if rois else Dataset()
        fault = _fault(rois, shapes)
        shape = shapes[0] if shapes else None
        yield Roi(
            number=number,
            name=_text(roi, "ROIName"),
            description=_text(roi, "ROIDescription"),
            generation_algorithm=_text(roi, "ROIGenerationAlgorithm"),
            interpreted_type=_text(observed.get(number, [Dataset()])[-1], "RTROIInterpretedType"),
            colour_rgb=shape.colour_rgb if shape else None,
            volume_cm3=_volume_cm3(roi),
            contours=shape.contours if shape and not fault else (),
            frame_of_reference_uid=_text(roi, "ReferencedFrameOfReferenceUID"),
            fault=fault,
        )


def _fault(rois: list[Dataset], shapes: list[RoiItem]) -> str:
    """Return why an ROI cannot be used; "" where it can. Contours in two items are not joined: either may be meant."""
    if len(rois) > 1:
        names = " and ".join(f"'{_text(roi, 'ROIName')}'" for roi in rois)
        return f"Structure Set ROI Sequence (3006,0020) has the ROI Number twice, for {names}"
    if len(shapes) > 1:
        return "ROI Contour Sequence (3006,0039) has the ROI twice"
    return shapes[0].fault if shapes else ""


def _notes(dataset: Dataset, items: list[RoiItem]) -> Iterator[str]:
    """Yield notes on what was left out for lack of a number to join it by, and on volumes that are not numbers."""
    for roi in _sequence(dataset, "StructureSetROISequence"):
        if _number(roi, "ROINumber") is None:
            yield f"ROI '{_text(roi, 'ROIName')}' is left out: it has no ROI Number (3006,0022) that is a whole number"
        elif _text(roi, "ROIVolume") and _volume_cm3(roi) is None:
            found = f"ROI Volume (3006,002C) '{_text(roi, 'ROIVolume')}' is no number"
            yield f"ROI {_number(roi, 'ROINumber')} '{_text(roi, 'ROIName')}': {found}; it is not compared"
    unnumbered = sum(item.number is None for item in items)
    if unnumbered:
        what = f"{unnumbered} item(s) of ROI Contour Sequence (3006,0039) are left out"
        yield f"{what}: they have no Referenced ROI Number (3006,0084) that is a whole number"


def _volume_cm3(roi: Dataset) -> float | None:
    try:
        volume = float(_text(roi, "ROIVolume"))
    except ValueError:
        return None
    return volume if math.isfinite(volume) else None


def _by_number(items: Iterable[Dataset], keyword: str) -> dict[int, list[Dataset]]:
    by_number: dict[int, list[Dataset]] = {}
    for item in items:
        number = _number(item, keyword)
        if number is not None:
            by_number.setdefault(number, []).append(item)
    return by_number


def _frames(dataset: Dataset) -> tuple[str, ...]:
    """Return the frames of reference that the structure set names, without repetition, in order."""
    named = [
        _text(item, "FrameOfReferenceUID")
        for item in _sequence(dataset, "ReferencedFrameOfReferenceSequence")
    ]
    named += [
        _text(item, "ReferencedFrameOfReferenceUID") for item in _sequence(dataset, "StructureSetROISequence")
    ]
    return tuple(dict.fromkeys(uid for uid in named if uid))


def _referenced_series(dataset: Dataset) -> Iterator[Dataset]:
    for frame in _sequence(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in _sequence(frame, "RTReferencedStudySequence"):
            yield from _sequence(study, "RTReferencedSeriesSequence")


def _sequence(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset[keyword].value or []) if keyword in dataset else []


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset[keyword].value if keyword in dataset else None
    return "" if value is None else str(value).strip()


def _number(dataset: Dataset, keyword: str) -> int | None:
    return whole_number(_text(dataset, keyword))

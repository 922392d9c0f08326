"""The header of one CT or MR slice: the few attributes that place it in a series and in the patient."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRColorImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)

from imaging.ct.raw_slice import RawSlice, named, read_raw
from imaging.errors import ImageRefused, RefusalCode

AXIS_LETTERS = "xyz"
MOST_PIXELS_A_SIDE = 4096
"""Twice the finest CT: memory is allocated by what a header claims."""


@dataclass(frozen=True, kw_only=True)
class ImageClass:
    """One kind of single-frame image.

    Its Modality (0008,0060), its SOP class, and the corresponding multi-frame classes.
    """

    modality: str
    single_frame: UID
    multi_frame: tuple[UID, ...]
    refusal: RefusalCode  # for any other object in a series of this kind


CT_IMAGES = ImageClass(
    modality="CT",
    single_frame=CTImageStorage,
    multi_frame=(EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage),
    refusal=RefusalCode.NOT_CT,
)
MR_IMAGES = ImageClass(
    modality="MR",
    single_frame=MRImageStorage,
    multi_frame=(
        EnhancedMRImageStorage,
        EnhancedMRColorImageStorage,
        LegacyConvertedEnhancedMRImageStorage,
    ),
    refusal=RefusalCode.NOT_MR,
)


@dataclass(frozen=True, kw_only=True)
class SliceHeader:
    """One slice without its pixels; `position` and `pixel_spacing_mm` keep row-major DICOM order."""

    name: str
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    position: tuple[str, str, str]
    position_lps: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    rows: int
    columns: int
    patient_position: str
    gantry_tilt_deg: float | None
    instance_number: int | None = None
    stated: Mapping[str, bytes] = field(default_factory=dict)
    """Whatever else the image states about its patient, study and acquisition, by keyword, undecoded."""

    def text(self, keyword: str) -> str:
        """Return a stated value without padding, or "" where it is absent or empty."""
        return self.stated.get(keyword, b"").decode("ascii", "replace").strip(" \0")

    @property
    def along(self) -> int:
        """The patient axis nearest to the normal of the image: 0, 1, 2 for x, y, z; 2 for an axial slice."""
        (a, b, c), (d, e, f) = self.orientation[:3], self.orientation[3:]
        normal = (abs(b * f - c * e), abs(c * d - a * f), abs(a * e - b * d))
        return max(2, 1, 0, key=lambda axis: normal[axis])

    @property
    def place_mm(self) -> float:
        """The slice's position along that axis, in mm."""
        return self.position_lps[self.along]

    @property
    def place(self) -> str:
        """The same as text, such as "z=12.5"."""
        return f"{AXIS_LETTERS[self.along]}={self.place_mm:g}"


def image_class(raw: RawSlice) -> ImageClass:
    """Return the kind of series that this object belongs to: MR for MR images, CT for everything else."""
    is_mr = raw.text("SOPClassUID") in (MR_IMAGES.single_frame, *MR_IMAGES.multi_frame)
    return MR_IMAGES if is_mr else CT_IMAGES


def parse_header(data: bytes, name: str = "") -> SliceHeader:
    """Return the header of one CT or MR slice from its Part 10 file, or from the file's first bytes up to the pixels.

    Raises ImageRefused where the object is not a slice that can be placed in a patient.
    """
    raw = read_raw(data, name)
    check_kind(raw, image_class(raw))
    return header_of(raw)


def check_kind(raw: RawSlice, wanted: ImageClass = CT_IMAGES) -> None:
    """Accept a single-frame image of the wanted kind that shows a section of the patient.

    Raises ImageRefused for every other object.
    """
    sop_class, modality = UID(raw.text("SOPClassUID")), raw.text("Modality")
    if not sop_class or not raw.text("SOPInstanceUID"):
        found = f"{named('SOPClassUID')} or {named('SOPInstanceUID')} is missing"
        raise ImageRefused(RefusalCode.UNREADABLE, f"{raw.called} is no DICOM image: {found}. Send it again.")
    kind = wanted.modality
    if sop_class in wanted.multi_frame:
        found = f"{raw.called} is {sop_class.name}: multi-frame {kind} is not read yet"
        raise ImageRefused(
            RefusalCode.ENHANCED, f"{found}. Export the series as single-frame {kind} Image Storage."
        )
    if sop_class != wanted.single_frame or modality != kind:
        found = f"{raw.called} is {sop_class.name} with {named('Modality')} '{modality}'"
        expected = f"not {kind} Image Storage with '{kind}'. Send the {kind} series alone."
        raise ImageRefused(wanted.refusal, f"{found}, {expected}")
    if "LOCALIZER" in (value.strip() for value in raw.text("ImageType").split("\\")):
        found = f"{raw.called} is a localizer by {named('ImageType')}"
        raise ImageRefused(RefusalCode.LOCALIZER, f"{found}. Send the series without its scout images.")
    if _whole(raw.text("NumberOfFrames")) not in (None, 1):
        raise raw.refusal(RefusalCode.ENHANCED, "NumberOfFrames", f"is {raw.text('NumberOfFrames')}, not 1")


def header_of(raw: RawSlice) -> SliceHeader:
    """Return the header of an object that `check_kind` let pass; ImageRefused where a needed attribute is missing."""
    x, y, z = raw.texts("ImagePositionPatient", 3)
    spacing = raw.numbers("PixelSpacing", 2)
    if min(spacing) <= 0:
        raise raw.refusal(
            RefusalCode.BAD_ATTRIBUTE, "PixelSpacing", f"is {raw.text('PixelSpacing')}, not positive"
        )
    rows, columns = raw.unsigned("Rows"), raw.unsigned("Columns")
    if not rows or not columns or max(rows, columns) > MOST_PIXELS_A_SIDE:
        found = f"x Columns is {rows} x {columns}; 1 to {MOST_PIXELS_A_SIDE} are read"
        raise raw.refusal(RefusalCode.BAD_ATTRIBUTE, "Rows", found)
    return SliceHeader(
        name=raw.name,
        sop_class_uid=raw.text("SOPClassUID"),
        sop_instance_uid=raw.text("SOPInstanceUID"),
        study_uid=raw.texts("StudyInstanceUID", 1)[0],
        series_uid=raw.texts("SeriesInstanceUID", 1)[0],
        frame_of_reference_uid=raw.texts("FrameOfReferenceUID", 1)[0],
        position=(x, y, z),
        position_lps=raw.numbers("ImagePositionPatient", 3),
        orientation=raw.numbers("ImageOrientationPatient", 6),
        pixel_spacing_mm=spacing,
        rows=rows,
        columns=columns,
        patient_position=raw.text("PatientPosition"),
        gantry_tilt_deg=_number(raw.text("GantryDetectorTilt")),
        instance_number=_whole(raw.text("InstanceNumber")),
        stated=raw.values,
    )


def _whole(text: str) -> int | None:
    """Return a text's whole number, or None: no contour depends on it."""
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,12}", text) else None


def _number(text: str) -> float | None:
    """Return a text's finite number, or None: `N/A` in an optional attribute states nothing."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None

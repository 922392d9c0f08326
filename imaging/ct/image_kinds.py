"""What sort of image an object of a CT or MR series is.

A slice of the patient, or something that accompanies the slices and is never contoured.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from imaging.ct.headers import CT_IMAGES, MR_IMAGES, SliceHeader, image_class
from imaging.ct.identity import check_same_patient
from imaging.ct.localizers import check_localizer, is_localizer
from imaging.ct.raw_slice import RawSlice, named
from imaging.errors import ImageRefused
from imaging.modality import Modality

_SCREEN = re.compile(
    r"^DOSE([ _]|$)|(^|[ _])(PROT|PROTOCOL|REPORT|SCREEN|SCREENSAVE|SCREENSHOT|SUMMARY|SURVIEW)([ _]|$)"
)
_IN_COLOUR = ("RGB", "YBR", "PALETTE")
_CONE_BEAM_MODELS = re.compile(
    r"on-?board imager|\bOBI\b|\bXVI\b|\bhalcyon\b|\bethos\b|\bhypersight\b|\bMVision\b|\bexactrac\b|\bimagingring\b|\bO-arm\b",
    re.IGNORECASE,
)
"""Imagers of Varian, Elekta, Siemens, Brainlab, medPhoton and Medtronic, as Manufacturer's Model Name gives them."""
_CONE_BEAM = re.compile(r"(^|[^a-z])(CBCT|cone[ _-]?beam)([^a-z]|$)", re.IGNORECASE)
_CONE_BEAM_TEXTS = (
    "ImageType",
    "ManufacturerModelName",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
)


class ImageKind(StrEnum):
    """The kind of an image, in the singular, as messages name it."""

    SLICE = "slice"
    LOCALIZER = "localizer"
    SCREEN = "screen page"
    MULTI_FRAME = "multi-frame image"


BESIDE_THE_SLICES = (ImageKind.LOCALIZER, ImageKind.SCREEN)


def kind_of(raw: RawSlice) -> ImageKind:
    """Return the kind that an image states; SLICE where it states none.

    A screen page (a dose report, a protocol, a capture) is in colour, says so in Image Type (0008,0008), or has no
    position in the patient and is secondary or converted from something else (Conversion Type (0008,0064)). Images that
    a program made and that have a position are slices.
    """
    many_frames = (*CT_IMAGES.multi_frame, *MR_IMAGES.multi_frame)
    if raw.text("SOPClassUID") in many_frames or raw.text("NumberOfFrames") not in ("", "0", "1"):
        return ImageKind.MULTI_FRAME
    if is_localizer(raw):
        return ImageKind.LOCALIZER
    return ImageKind.SCREEN if is_screen(raw) else ImageKind.SLICE


def is_screen(raw: RawSlice) -> bool:
    """Tell whether an image is a page of a screen, as `kind_of` says."""
    kinds = [value.strip() for value in raw.text("ImageType").split("\\")]
    lies_somewhere = raw.text("ImagePositionPatient") and raw.text("ImageOrientationPatient")
    return (
        raw.text("PhotometricInterpretation").startswith(_IN_COLOUR)
        or any(_SCREEN.search(value) for value in kinds)
        or (("SECONDARY" in kinds or bool(raw.text("ConversionType"))) and not lies_somewhere)
    )


def is_beside(raw: RawSlice) -> bool:
    """Tell whether an image of a series is not one of its slices but a localizer or a screen page."""
    return kind_of(raw) in BESIDE_THE_SLICES


def set_aside(beside: Sequence[RawSlice], slices: Sequence[SliceHeader]) -> tuple[str, ...]:
    """Return the SOP Instance UIDs of localizers and screen pages that are left out of a series that has these slices.

    Raises ImageRefused for a localizer that could be one of the slices, for an image of another patient, and where
    there is no slice at all.
    """
    for raw in beside:
        if is_localizer(raw):
            check_localizer(raw, slices)
    if slices:
        check_same_patient(slices[0], beside)
    elif beside:
        found = (
            f"none of the {len(beside)} images is a slice of a volume: they are pages of a screen or report"
        )
        kind = image_class(beside[0])
        raise ImageRefused(kind.refusal, f"{found}. Send the {kind.modality} series itself.")
    return tuple(raw.text("SOPInstanceUID") for raw in beside)


class HeaderTexts(Protocol):
    """The texts of an image's header by keyword; a RawSlice is one."""

    def text(self, keyword: str) -> str:
        """Return a value as text; "" where the attribute is absent."""
        ...


def cone_beam_sign(raw: HeaderTexts) -> str:
    """Say which attribute of a CT image shows that it comes from a cone-beam scanner; "" where none does.

    DICOM has no separate Modality for a treatment machine's imager, a C-arm or a dental unit. Their values are not
    reliable Hounsfield units. A description is not quoted: it may name a patient.
    """
    model = _CONE_BEAM_MODELS.search(raw.text("ManufacturerModelName"))
    if model:
        return (
            f"{named('ManufacturerModelName')} is of an imager of a treatment machine or C-arm, {model[0]!r}"
        )
    keyword = next((keyword for keyword in _CONE_BEAM_TEXTS if _CONE_BEAM.search(raw.text(keyword))), "")
    return f"{named(keyword)} says cone-beam" if keyword else ""


def modality_of(raw: RawSlice) -> Modality:
    """Return the kind of series that an image states it belongs to."""
    if image_class(raw) is MR_IMAGES:
        return Modality.MR
    return Modality.CBCT if cone_beam_sign(raw) else Modality.CT

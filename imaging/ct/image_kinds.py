"""What sort of image an object of a CT series is: a slice of the patient, or something beside it that nobody contours."""

import re
from collections.abc import Sequence
from enum import StrEnum

from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from imaging.ct.headers import SliceHeader
from imaging.ct.identity import check_same_patient
from imaging.ct.localizers import check_localizer, is_localizer
from imaging.ct.raw_slice import RawSlice
from imaging.errors import ImageRefused, RefusalCode

_SCREEN = re.compile(
    r"^DOSE([ _]|$)|(^|[ _])(PROT|PROTOCOL|REPORT|SCREEN|SCREENSAVE|SCREENSHOT|SUMMARY|SURVIEW)([ _]|$)"
)
_IN_COLOUR = ("RGB", "YBR", "PALETTE")


class ImageKind(StrEnum):
    """One word for people, without its plural."""

    SLICE = "slice"
    LOCALIZER = "localizer"
    SCREEN = "screen page"
    MULTI_FRAME = "multi-frame image"


BESIDE_THE_SLICES = (ImageKind.LOCALIZER, ImageKind.SCREEN)


def kind_of(raw: RawSlice) -> ImageKind:
    """Return the kind that an image states; a slice where it states none.

    A screen page (a dose report, a protocol, a capture) is in colour, says so in Image Type (0008,0008), or lies nowhere
    in the patient and is secondary or was converted from something else (Conversion Type (0008,0064)). Slices that
    a program made and that say where they lie are slices.
    """
    many_frames = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
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
    """Whether an image of a CT series is none of its slices: a localizer or a screen page."""
    return kind_of(raw) in BESIDE_THE_SLICES


def set_aside(beside: Sequence[RawSlice], slices: Sequence[SliceHeader]) -> tuple[str, ...]:
    """Return the SOP Instance UIDs of localizers and screen pages that are left out of a series that has these slices.

    ImageRefused for a localizer that could be one of the slices, for an image of another patient, and where there is
    no slice at all.
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
        raise ImageRefused(RefusalCode.NOT_CT, f"{found}. Send the CT series itself.")
    return tuple(raw.text("SOPInstanceUID") for raw in beside)

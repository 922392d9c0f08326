"""What sort of image an object of a CT series is: a slice of the patient, or something beside it that nobody contours."""

import re
from enum import StrEnum

from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from imaging.ct.localizers import is_localizer
from imaging.ct.raw_slice import RawSlice

_SCREEN = re.compile(r"(^|[ _])(DOSE|PROT|PROTOCOL|REPORT|SCREEN|SCREENSAVE|SCREENSHOT|SUMMARY)([ _]|$)")
_IN_COLOUR = ("RGB", "YBR", "PALETTE")


class ImageKind(StrEnum):
    """One word for people, without its plural."""

    SLICE = "slice"
    LOCALIZER = "localizer"
    SCREEN = "screen page"
    MULTI_FRAME = "multi-frame image"


def kind_of(raw: RawSlice) -> ImageKind:
    """Return the kind that an image states; a slice where it states none.

    A screen page (a dose report, a protocol, a capture) is in colour, was converted from something else (Conversion
    Type (0008,0064)), says so in Image Type (0008,0008), or is secondary and lies nowhere in the patient.
    """
    many_frames = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
    if raw.text("SOPClassUID") in many_frames or raw.text("NumberOfFrames") not in ("", "0", "1"):
        return ImageKind.MULTI_FRAME
    if is_localizer(raw):
        return ImageKind.LOCALIZER
    return ImageKind.SCREEN if _is_screen(raw) else ImageKind.SLICE


def _is_screen(raw: RawSlice) -> bool:
    kinds = [value.strip() for value in raw.text("ImageType").split("\\")]
    lies_somewhere = raw.text("ImagePositionPatient") and raw.text("ImageOrientationPatient")
    return (
        bool(raw.text("ConversionType"))
        or raw.text("PhotometricInterpretation").startswith(_IN_COLOUR)
        or any(_SCREEN.search(value) for value in kinds)
        or ("SECONDARY" in kinds and not lies_somewhere)
    )

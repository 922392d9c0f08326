"""Pixels in which somebody can be read: what an object says of them."""

from pydicom import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from imaging.ct.image_kinds import is_screen
from imaging.ct.raw_slice import read_raw
from imaging.deidentify.errors import DeidentificationRefused
from imaging.errors import ImageRefused

_SLICES = frozenset({CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage})
_FROM_A_SCREEN = "WSD"


def check_pixels(data: bytes, dataset: Dataset, called: str) -> None:
    """Raise DeidentificationRefused where text may be burned in: the object says so, or is a page of a screen."""
    burned = str(dataset.get("BurnedInAnnotation", None) or "").strip(" \0")
    if burned.upper() not in ("", "NO"):
        raise DeidentificationRefused(
            f"{called} has Burned In Annotation (0028,0301) {burned}: pixels are not cleaned; look at it and allow it"
        )
    if dataset.SOPClassUID in _SLICES and _is_page(data, dataset, called):
        raise DeidentificationRefused(
            f"{called} is a page of a screen by Image Type (0008,0008), Conversion Type (0008,0064), Photometric"
            " Interpretation (0028,0004) or 8 bits a pixel: text may stand in its pixels; look at it and allow it"
        )


def _is_page(data: bytes, dataset: Dataset, called: str) -> bool:
    if str(dataset.get("ConversionType", None) or "").strip().upper() == _FROM_A_SCREEN:
        return True
    if dataset.SOPClassUID == CTImageStorage and dataset.get("BitsAllocated", None) == 8:
        return True
    try:
        return is_screen(read_raw(data, called))
    except ImageRefused as error:
        raise DeidentificationRefused(f"{called} cannot be read: {error}") from error

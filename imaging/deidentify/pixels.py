"""Pixel data that can name somebody: burned-in text, unused bits, bytes beside the frames and after the last one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from imaging.ct.image_kinds import is_screen
from imaging.ct.raw_slice import read_raw
from imaging.ct.stored_values import goes_on
from imaging.deidentify.codestreams import clean_encapsulated
from imaging.deidentify.errors import DeidentificationRefused
from imaging.errors import PARSE_ERRORS, ImageRefused

_SLICES = frozenset({CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage})
_AS_CODED: Any = {"correct_unused_bits": False}
_FROM_A_SCREEN = "WSD"


def check_pixels(data: bytes, dataset: Dataset, called: str) -> None:
    """Raise DeidentificationRefused where text may be burned in: the object says so, or is a screen page."""
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


def clean_pixels(dataset: Dataset, called: str) -> None:
    """Keep only the stored values of Pixel Data; DeidentificationRefused where they cannot be told apart.

    Cleared are: unused bits that are neither zero nor the sign, bytes after the last pixel, comments and application
    data of compressed frames, and bytes after their end.
    """
    if "PixelData" not in dataset:
        return
    if not dataset.get("Rows", None) or not dataset.get("Columns", None):
        del dataset["PixelData"]
        return
    try:
        _clean(dataset)
    except PARSE_ERRORS as error:
        raise DeidentificationRefused(
            f"{called}: Pixel Data (7FE0,0010) cannot be cleaned: {error}"
        ) from error


def _clean(dataset: Dataset) -> None:
    pixels = int(dataset.Rows) * int(dataset.Columns)
    frames = int(dataset.get("NumberOfFrames", None) or 1)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        dataset["PixelData"].value = clean_encapsulated(dataset.PixelData, syntax, frames, pixels)
        if _has_unused(dataset):
            cells = get_decoder(syntax).as_array(dataset, raw=True, **_AS_CODED)[0]
            cells = cells.view(f"u{cells.dtype.itemsize}")
            if not np.array_equal(_cleared(cells, dataset), cells):
                raise ValueError("compressed pixels have values in unused bits; send it uncompressed")
        return
    bits = pixels * frames * int(dataset.get("SamplesPerPixel", None) or 1) * int(dataset.BitsAllocated)
    data = dataset.PixelData[: (bits + 7) // 8]
    if _has_unused(dataset):
        order = "<" if syntax.is_little_endian else ">"
        cells = np.frombuffer(data, f"{order}u{dataset.BitsAllocated // 8}")
        shape = (-1, int(dataset.Columns))
        data = _cleared(cells.reshape(shape), dataset).tobytes()
    dataset["PixelData"].value = data + b"\0" * (len(data) % 2)


def _has_unused(dataset: Dataset) -> bool:
    return dataset.BitsAllocated in (8, 16, 32) and 0 < dataset.BitsStored < dataset.BitsAllocated


def _cleared(cells: NDArray[np.unsignedinteger], dataset: Dataset) -> NDArray[np.unsignedinteger]:
    """Return cells (..., x) with zeros, or the sign, in their unused bits; padding values stay whole.

    Returns the cells themselves where nothing has to change. ValueError where the values extend beyond Bits Stored.
    """
    stored, low = int(dataset.BitsStored), int(dataset.HighBit) + 1 - int(dataset.BitsStored)
    word = cells.dtype.type
    mask = word(((1 << stored) - 1) << low)
    plain = cells & mask
    signed = dataset.get("PixelRepresentation", 0) == 1
    negative = (cells >> word(int(dataset.HighBit))) & word(1) == 1
    extended = np.where(negative, plain | ~mask, plain) if signed and low == 0 else plain
    padding = _padding(cells, dataset)
    if any(np.array_equal(np.where(padding, cells, one), cells) for one in (plain, extended)):
        return cells
    kept = np.where(padding, cells, extended).astype(cells.dtype)
    sort = "i" if signed else "u"
    whole, cut = (one.astype(f"u{one.itemsize}").view(f"{sort}{one.itemsize}") for one in (cells, kept))
    if low == 0 and whole.ndim == 2 and goes_on(whole, cut):
        raise ValueError("values go on beyond Bits Stored (0028,0101)")
    return kept


def _padding(cells: NDArray[np.unsignedinteger], dataset: Dataset) -> NDArray[np.bool_]:
    value = dataset.get("PixelPaddingValue", None)
    if not isinstance(value, int):
        return np.zeros(cells.shape, bool)
    return np.asarray(cells == cells.dtype.type(value % (1 << (8 * cells.itemsize))))

"""Stored pixel values of one CT slice, in any transfer syntax, to int16 HU."""

import math

import numpy as np
from numpy.typing import NDArray

from imaging.ct.padding import AIR_HU, Padded, blank
from imaging.ct.pixel_format import PixelFormat, pixel_format, require_pixels
from imaging.ct.raw_slice import RawSlice
from imaging.ct.stored_values import stored_values
from imaging.errors import RefusalCode

__all__ = ["AIR_HU", "PixelFormat", "pixel_format", "read_hu", "require_pixels"]

_INT16 = np.iinfo(np.int16)


def read_hu(raw: RawSlice, out_yx: NDArray[np.int16]) -> Padded:
    """Write the slice's HU (y, x) into `out_yx`: rescaled, rounded, limited to int16, padding as air.

    Raises ImageRefused where pixel data is truncated, cannot be decoded, has another shape, or contradicts itself.
    """
    layout = pixel_format(raw)
    if (layout.rows, layout.columns) != out_yx.shape:
        raise raw.refusal(
            RefusalCode.MIXED_GEOMETRY, "Rows", f"x Columns is {layout.rows} x {layout.columns}"
        )
    stored, outside = stored_values(raw, layout)
    _rescale(stored, layout, out_yx)
    padded = blank(raw, layout, stored, out_yx)
    if outside is not None:
        out_yx[outside] = AIR_HU
    return padded


def _rescale(stored: NDArray[np.integer], layout: PixelFormat, out_yx: NDArray[np.int16]) -> None:
    """Write HU = stored x slope + intercept (PS3.3 C.11.1), limited to int16 without wrapping round."""
    slope, intercept = layout.slope, layout.intercept
    if slope == 1 and intercept == math.trunc(intercept):
        low, high = int(stored.min()) + int(intercept), int(stored.max()) + int(intercept)
        if _INT16.min <= low and high <= _INT16.max and stored.dtype.itemsize == 2:
            np.add(stored.view(np.uint16), np.uint16(int(intercept) & 0xFFFF), out=out_yx.view(np.uint16))
        else:
            out_yx[...] = np.clip(stored.astype(np.int64) + int(intercept), _INT16.min, _INT16.max)
    else:
        out_yx[...] = np.clip(np.rint(stored * slope + intercept), _INT16.min, _INT16.max)

"""Stored values of one MR slice as signal, which has no unit unless the images state one.

As common converters do, we apply Rescale Slope and Intercept where an image has them (PS3.3 C.11.1), else the linear
Real World Value Mapping (0040,9096) if there is one (C.7.6.16.2.11), else the stored values. A model of MR normalises
its input, so one scale for the whole series makes no difference to it; a separate scale in each slice does.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from imaging.ct.pixel_format import Rescale, pixel_format
from imaging.ct.raw_slice import RawSlice, named
from imaging.ct.stored_values import stored_values
from imaging.errors import PARSE_ERRORS, ImageRefused, RefusalCode
from imaging.volumes.volume import Volume

_MAPPING = "RealWorldValueMappingSequence"


def signal_rescale(raw: RawSlice) -> Rescale:
    """Return slope and intercept of an MR slice; ImageRefused where they are not a valid scale."""
    if raw.text("RescaleSlope") or raw.text("RescaleIntercept"):
        slope = raw.numbers("RescaleSlope", 1)[0] if raw.text("RescaleSlope") else 1.0
        intercept = raw.numbers("RescaleIntercept", 1)[0] if raw.text("RescaleIntercept") else 0.0
        if slope <= 0:
            raise raw.refusal(RefusalCode.BAD_ATTRIBUTE, "RescaleSlope", f"is {slope:g}, not positive")
        return Rescale(slope, intercept)
    return _real_world(raw) or Rescale(1.0, 0.0)


def read_signal(raw: RawSlice, out_yx: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Write the slice's signal (y, x) into `out_yx`, float32; return where it is padding (y, x), or None where nowhere.

    Raises ImageRefused where pixel data is truncated, cannot be decoded, has another shape, or contradicts itself.
    """
    layout = pixel_format(raw, signal_rescale)
    if (layout.rows, layout.columns) != out_yx.shape:
        found = f"x Columns is {layout.rows} x {layout.columns}"
        raise raw.refusal(RefusalCode.MIXED_GEOMETRY, "Rows", found)
    stored, outside = stored_values(raw, layout)
    out_yx[...] = stored * layout.slope + layout.intercept
    if layout.padding is None:
        return outside
    padding = np.asarray((stored >= layout.padding[0]) & (stored <= layout.padding[1]), np.bool_)
    padding = padding if outside is None else padding | outside
    return padding if padding.any() else None


def blank_padding(
    array_zyx: NDArray[np.float32], padding: Sequence[NDArray[np.bool_] | None]
) -> tuple[str, ...]:
    """Set padding pixels, in place, to the lowest signal of the other pixels.

    Returns a note where there were any.
    """
    count = sum(int(np.count_nonzero(plane)) for plane in padding if plane is not None)
    if not count or count == array_zyx.size:
        return ()
    lowest = min(
        float(np.min(values, initial=np.inf, where=True if plane is None else ~plane))
        for values, plane in zip(array_zyx, padding, strict=True)
    )
    for values, plane in zip(array_zyx, padding, strict=True):
        if plane is not None:
            values[plane] = lowest
    return (f"{named('PixelPaddingValue')}: {count} pixels of padding take the lowest signal of the others",)


def check_signal(volume: Volume) -> None:
    """Accept a volume with any contrast; ImageRefused where all of its voxels have one value."""
    low, high = float(volume.array_zyx.min()), float(volume.array_zyx.max())
    if not low < high:
        raise ImageRefused(
            RefusalCode.NO_SIGNAL,
            f"every voxel of the series has the value {low:g}: there is no image. Export the series again.",
        )


def _real_world(raw: RawSlice) -> Rescale | None:
    """Return the first Real World Value Mapping that is linear and has a slope, or None.

    It lies in a sequence, which `RawSlice` does not hold.
    """
    try:
        found = dcmread(
            io.BytesIO(raw.stream.data), stop_before_pixels=True, specific_tags=[_MAPPING], force=True
        )
        items: Sequence[Dataset] = found.get(_MAPPING, None) or ()
        for item in items:
            slope, intercept = (
                item.get("RealWorldValueSlope", None),
                item.get("RealWorldValueIntercept", None),
            )
            if slope and intercept is not None and float(slope) > 0 and np.isfinite([slope, intercept]).all():
                return Rescale(float(slope), float(intercept))
    except PARSE_ERRORS:
        return None  # the walk that found the slice's own attributes reads past what stops this one
    return None

"""Pixels that a scanner or a resampler added round an image (PS3.3 C.7.5.1.1.2): outside the patient, so air."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imaging.ct.pixel_format import PixelFormat
from imaging.ct.raw_slice import RawSlice, named
from imaging.errors import RefusalCode

AIR_HU = -1000
HIGHEST_AIR_HU = -900
"""Padding at or below this is air by its own value."""
BEYOND_METAL_HU = 31744
"""Padding at or above this is beyond anything that a CT can measure, whatever its scale."""


class Padded(NamedTuple):
    """Padding whose value could also be tissue.

    Pixels at the images' borders, taken as air, and inside, kept as they are.
    """

    hu: int
    outside: int
    inside: int


NOTHING = Padded(0, 0, 0)


def blank(
    raw: RawSlice, layout: PixelFormat, stored_yx: NDArray[np.integer], hu_yx: NDArray[np.int16]
) -> Padded:
    """Write air into `hu_yx` where `stored_yx` is padding; ImageRefused where padding covers the image's own values.

    A padding value that tissue could have counts as padding only in regions that reach the border of the image.
    """
    if layout.padding is None:
        return NOTHING
    low, high = layout.padding
    padding = (stored_yx >= low) & (stored_yx <= high)
    lowest_hu, highest_hu = (value * layout.slope + layout.intercept for value in layout.padding)
    if highest_hu <= HIGHEST_AIR_HU or lowest_hu >= BEYOND_METAL_HU:
        hu_yx[padding] = AIR_HU
        return NOTHING
    if not padding.any():
        return NOTHING
    if low != high and len(np.unique(stored_yx[padding])) > 1:
        found = f"and {named('PixelPaddingRangeLimit')} cover {lowest_hu:g} to {highest_hu:g} HU, which the image itself has"
        raise raw.refusal(RefusalCode.BAD_ATTRIBUTE, "PixelPaddingValue", found)
    outside = _reaching_the_border(padding)
    hu = int(hu_yx[padding][0])
    hu_yx[outside] = AIR_HU
    count = int(np.count_nonzero(outside))
    return Padded(hu, count, int(np.count_nonzero(padding)) - count)


def padding_notes(slices: Iterable[Padded]) -> tuple[str, ...]:
    """Describe how padding whose value could be tissue was handled, over all slices; empty where there was none."""
    found = [padded for padded in slices if padded != NOTHING]
    if not found:
        return ()
    outside, inside = sum(padded.outside for padded in found), sum(padded.inside for padded in found)
    taken = f"{outside} pixels of padding at the images' borders are taken as air, {inside} inside are kept as they are"
    return (f"{named('PixelPaddingValue')} stands for {found[0].hu} HU: {taken}",)


def _reaching_the_border(mask_yx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return those parts of a mask that touch the edge of the image."""
    from scipy import ndimage  # not at the top: processes that only read headers do without scipy

    parts, _ = ndimage.label(mask_yx)
    at_border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return np.asarray(np.isin(parts, at_border[at_border > 0]), np.bool_)

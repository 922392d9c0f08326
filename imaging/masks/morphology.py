"""Masks combined, cleaned and smoothed: on their crops, in mm and cm3, never as floats on a whole grid."""

from collections.abc import Callable
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.masks.margins import Margin, contract, expand
from imaging.volumes.crops import IndexBox, box_of, cut_out, put_back, tightened
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

_TOUCHING = np.ones(
    (3, 3, 3), bool
)  # voxels that share a corner belong to one piece, as in inference.postprocess
_LEVELS = 255
_SLAB_VOXELS = 1_000_000


def union(first: Mask, *others: Mask) -> Mask:
    """Return the voxels of any of the masks."""
    filled = [mask for mask in (first, *others) if mask.crop_zyx.size]
    if not filled:
        return Mask.empty()
    box = reduce(IndexBox.joined, (box_of(mask) for mask in filled))
    result = cut_out(filled[0], box)
    for mask in filled[1:]:
        result[box_of(mask).slices_in(box)] |= mask.crop_zyx
    return put_back(result, box)


def intersection(first: Mask, *others: Mask) -> Mask:
    """Return the voxels that all the masks have."""
    box = reduce(IndexBox.met, (box_of(mask) for mask in (first, *others)))
    if min(box.shape) == 0:
        return Mask.empty()
    result = cut_out(first, box)
    for mask in others:
        result &= cut_out(mask, box)
    return put_back(result, box)


def subtraction(first: Mask, *others: Mask) -> Mask:
    """Return the voxels of the first mask that none of the others has."""
    box = box_of(first)
    result = first.crop_zyx.copy()
    for mask in others:
        result &= ~cut_out(mask, box)
    return put_back(result, box)


def without_holes_in_slices(mask: Mask) -> Mask:
    """Return the mask with every background region filled that is enclosed within one slice.

    Background is connected only across edges of pixels, so a ring closed by corners encloses what lies in it.
    """
    source = tightened(mask)
    filled = np.empty_like(source.crop_zyx)
    for z, plane in enumerate(source.crop_zyx):
        filled[z] = plane | enclosed(plane)
    return Mask(crop_zyx=filled, start_zyx=source.start_zyx)


def without_holes_in_volume(mask: Mask) -> Mask:
    """Return the mask with every background region filled that is enclosed on all sides.

    Closed cavities are filled, tunnels are not.
    """
    source = tightened(mask)
    return Mask(crop_zyx=source.crop_zyx | enclosed(source.crop_zyx), start_zyx=source.start_zyx)


def enclosed(array: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the background of a 2-D or 3-D array that no path of face neighbours connects to the array's border."""
    labels, count = ndimage.label(~array)
    if count == 0:
        return np.zeros_like(array)
    closed = np.ones(count + 1, bool)
    closed[0] = False
    for axis in range(array.ndim):
        for end in (0, -1):
            closed[labels.take(end, axis=axis).ravel()] = False
    return np.asarray(closed[labels], np.bool_)


def largest_pieces(mask: Mask, count: int = 1) -> Mask:
    """Return the `count` largest pieces, of equal ones the first in index order; ValueError for a count below 1."""
    if count < 1:
        raise ValueError(f"the number of pieces to keep must be 1 or more, not {count}")
    return _pieces_where(mask, lambda sizes: np.argsort(-sizes, kind="stable")[:count])


def without_pieces_below(mask: Mask, grid: Grid, smallest_cc: float) -> Mask:
    """Return the mask without pieces of less than `smallest_cc` cm3."""
    least = smallest_cc * 1000.0 / grid.voxel_volume_mm3
    return _pieces_where(mask, lambda sizes: np.flatnonzero(sizes >= least * (1 - 1e-9)))


def _pieces_where(mask: Mask, chosen: Callable[[NDArray[np.int64]], NDArray[np.intp]]) -> Mask:
    labels, count = ndimage.label(mask.crop_zyx, _TOUCHING)
    if count == 0:
        return Mask.empty()
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:].astype(np.int64)
    keep = np.zeros(count + 1, bool)
    keep[1 + chosen(sizes)] = True
    return put_back(np.asarray(keep[labels], np.bool_), box_of(mask))


def smoothed(mask: Mask, grid: Grid, limit_mm: float) -> Mask:
    """Return the mask with a smoother surface that is nowhere farther than `limit_mm` from the old one.

    A Gaussian of sigma `limit_mm` / 2 over the mask, is cut at the level that keeps the number of voxels as nearly as
    256 levels can; the result is bounded by the mask contracted and expanded by `limit_mm`. 0 leaves the mask as it is.
    Raises ValueError for a negative limit.
    """
    if limit_mm < 0:
        raise ValueError(f"the limit of smoothing must be 0 mm or more, not {limit_mm:g}")
    source = tightened(mask)
    if limit_mm == 0 or not source.crop_zyx.size:
        return source
    margin = Margin.uniform(limit_mm)
    most, least = expand(source, grid, margin), contract(source, grid, margin)
    box = box_of(most)
    blurred = _blurred(cut_out(source, box), np.divide(limit_mm / 2, grid.spacing_zyx_mm))
    result = (blurred >= _level(blurred, source.voxels())) & most.crop_zyx
    return put_back(result | cut_out(least, box), box)


def _blurred(array_zyx: NDArray[np.bool_], sigma_zyx: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the Gaussian mean of a mask in 255ths; background beyond the array. Works in overlapping slabs."""
    halo = int(np.ceil(4 * sigma_zyx[0]))
    slab = max(1, _SLAB_VOXELS // array_zyx[0].size)
    result = np.empty(array_zyx.shape, np.uint8)
    for first in range(0, len(array_zyx), slab):
        low, high = max(0, first - halo), min(len(array_zyx), first + slab + halo)
        part = array_zyx[low:high].astype(np.float32)
        ndimage.gaussian_filter(part, sigma_zyx, output=part, mode="constant", truncate=4.0)
        np.rint(part * _LEVELS, out=part)
        last = min(first + slab, len(array_zyx))
        result[first:last] = part[first - low : last - low]
    return result


def _level(blurred: NDArray[np.uint8], voxels: int) -> int:
    """Return the level, at least 1, at or above which the number of voxels is nearest to `voxels`."""
    counts = np.bincount(blurred.ravel(), minlength=_LEVELS + 1)
    at_or_above = np.cumsum(counts[::-1])[::-1]
    return 1 + int(np.abs(at_or_above[1:] - voxels).argmin())

"""Contours of one ROI that repeat or overlap each other: how the even-odd rule reads them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.contours.exact import PlanarContour
from imaging.contours.rasterise import rasterise
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask


def same_outline(points_lps: NDArray[np.float64]) -> bytes:
    """Return a key shared by closed polygons of points (n, 3) that differ only in starting point or direction.

    A first point repeated at the end does not count.
    """
    points = points_lps + 0.0  # -0.0 becomes 0.0
    if len(points) > 1 and (points[0] == points[-1]).all():
        points = points[:-1]
    if not len(points):
        return b""
    first = int(np.lexsort(points.T[::-1])[0])
    forwards = np.roll(points, -first, axis=0)
    backwards = np.roll(forwards[::-1], 1, axis=0)
    return min(forwards.tobytes(), backwards.tobytes())


def note_overlaps(
    called: str, polygons: Sequence[PlanarContour], mask: Mask, grid: Grid, notes: list[str]
) -> None:
    """Append a note where polygons overlap in part, with the voxels that the even-odd rule leaves out of their union.

    A polygon inside another is a hole (or an island in one), not an overlap.
    """
    by_slice: dict[int, list[PlanarContour]] = defaultdict(list)
    for polygon in polygons:
        by_slice[polygon.slice_index].append(polygon)
    slices, left_out = 0, 0
    for own in by_slice.values():
        pairs = list(_near([polygon.points_lps for polygon in own]))
        filled = {k: rasterise([own[k]], grid) for k in {k for pair in pairs for k in pair}}
        crossing = [_shared(filled[a], filled[b]) for a, b in pairs if _overlap_in_part(filled[a], filled[b])]
        if crossing:
            slices += 1
            left_out += _voxels_outside(crossing, mask)
    if slices:
        rule = "read by the even-odd rule, which leaves out"
        notes.append(
            f"{called}: contours overlap in part on {slices} slice(s); {rule} {left_out} voxel(s) of their union"
        )


def _near(outlines: Sequence[NDArray[np.float64]]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of polygons of one plane whose boxes overlap."""
    if len(outlines) < 2:
        return
    low = np.array([points.min(axis=0) for points in outlines])
    high = np.array([points.max(axis=0) for points in outlines])
    for k in range(1, len(outlines)):
        met = ((low[:k] <= high[k]) & (low[k] <= high[:k])).all(axis=1)
        for other in np.flatnonzero(met).tolist():
            yield other, k


def _overlap_in_part(one: Mask, other: Mask) -> bool:
    shared = _shared(one, other).voxels()
    return 0 < shared < min(one.voxels(), other.voxels())


def _shared(one: Mask, other: Mask) -> Mask:
    """Return the voxels of both masks."""
    low = np.maximum(one.start_zyx, other.start_zyx)
    high = np.minimum(
        np.add(one.start_zyx, one.crop_zyx.shape), np.add(other.start_zyx, other.crop_zyx.shape)
    )
    if (high <= low).any():
        return Mask.empty()
    return Mask(crop_zyx=_part(one, low, high) & _part(other, low, high), start_zyx=tuple(low.tolist()))


def _part(mask: Mask, low: NDArray[np.int_], high: NDArray[np.int_]) -> NDArray[np.bool_]:
    a, b = low - mask.start_zyx, high - mask.start_zyx
    return mask.crop_zyx[a[0] : b[0], a[1] : b[1], a[2] : b[2]]


def _voxels_outside(parts: Sequence[Mask], mask: Mask) -> int:
    """Count the voxels of any of the parts that are not in the mask."""
    outside: set[tuple[int, ...]] = set()
    for part in parts:
        inside = _shared(part, mask)
        found = np.argwhere(part.crop_zyx) + part.start_zyx
        held = np.argwhere(inside.crop_zyx) + inside.start_zyx if inside.voxels() else np.empty((0, 3), int)
        outside |= set(map(tuple, found.tolist())) - set(map(tuple, held.tolist()))
    return len(outside)

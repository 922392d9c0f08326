"""Masks to closed planar polygons in patient millimetres: the exact outline of the voxels.

The outline runs along voxel edges. Every edge lies half a voxel from every voxel centre, so any reader that asks which
centres lie inside gets the same mask back, voxel for voxel, and the polygons' area is the voxels' area. Corners only:
collinear points are left out. Voxels that touch at a corner are separate parts (4-connected, as CLOSED_PLANAR requires
one connected interior). Holes are joined to the outline by a channel of no width, a keyhole (PS3.3 C.8.8.6.3), along
a voxel edge between two rows: a reader that takes the union of polygons keeps them hollow too.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imaging.contours.hole_encoding import HoleEncoding
from imaging.contours.keyholes import Outline, join_holes
from imaging.contours.structure_set import GeometricType
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanarContour:
    """One closed polygon on one slice: points (n, 3) in LPS mm, the first not repeated at the end."""

    slice_index: int
    points_lps: NDArray[np.float64]
    geometric_type: GeometricType = GeometricType.CLOSED_PLANAR


class SliceLoops(NamedTuple):
    """The closed loops of one slice of a mask's crop padded by a voxel in rows and columns, and which are holes.

    Every loop runs the same way round. `beside_yx` marks the upright edges between a padded row's voxels.
    """

    slice_index: int
    loops: Sequence[Outline]
    hollow: NDArray[np.bool_]
    beside_yx: NDArray[np.uint8]


def contours(mask: Mask, grid: Grid, holes: HoleEncoding = HoleEncoding.KEYHOLE) -> list[PlanarContour]:
    """Return the outline of every part of the mask, holes as keyholes, ordered by slice; none for an empty mask.

    `rasterise(contours(mask, grid), grid)` is the mask, for any mask. Each polygon has at least four points and an
    area of its voxels' own size. Where `holes` says so, holes are polygons of their own that run the other way
    round: plain closed ones (nested), or ones of type CLOSEDPLANAR_XOR, as are then all polygons of that mask.
    """
    if not mask.crop_zyx.any():
        return []
    kind = GeometricType.CLOSED_PLANAR
    depth, rows, columns = mask.crop_zyx.shape
    inside = np.zeros((depth, rows + 2, columns + 2), np.uint8)
    inside[:, 1:-1, 1:-1] = mask.crop_zyx
    found = list(slice_loops(inside))
    if holes is HoleEncoding.XOR and any(here.hollow.any() for here in found):
        kind = GeometricType.CLOSEDPLANAR_XOR
    polygons = ((here.slice_index, outline) for here in found for outline in _polygons(here, holes))
    slices, outlines = zip(*polygons, strict=True)
    counts = [len(outline) for outline in outlines]
    z, y, x = mask.start_zyx
    # Corner (j, i) lies between padded rows j and j + 1, which are the mask's rows j - 1 and j.
    index = np.empty((sum(counts), 3))
    index[:, 0] = np.repeat(np.array(slices) + z, counts)
    index[:, 1:] = np.concatenate(outlines)
    index[:, 1:] += (y - 0.5, x - 0.5)
    points, ends = grid.points_lps(index), np.cumsum(counts).tolist()
    return [
        PlanarContour(slice_index=k + z, points_lps=points[end - count : end], geometric_type=kind)
        for k, count, end in zip(slices, counts, ends, strict=True)
    ]


def slice_loops(inside: NDArray[np.uint8]) -> Iterator[SliceLoops]:
    """Yield the loops of a mask (z, y, x), padded by a row and a column on each side, for each slice that has any.

    Corner (j, i) of a loop lies between padded rows j and j + 1 and padded columns i and i + 1.
    """
    beside = inside[:, :, 1:] ^ inside[:, :, :-1]  # a vertical edge between two voxels of a row
    corners, lower = _corners(inside, beside)
    loops = _loops(_partners_along_columns(corners, lower))
    starts = corners[loops.walk[loops.firsts]]
    hollow = inside[starts[:, 0], starts[:, 1] + 1, starts[:, 2] + 1] == 0
    # A loop leaves each of its corners along the row: the corner at that edge's other end (c ^ 1) comes next.
    points = corners[np.stack([loops.walk, loops.walk ^ 1], axis=1).ravel(), 1:]
    outlines = np.split(points, 2 * loops.firsts[1:])
    firsts = np.searchsorted(starts[:, 0], np.arange(len(inside) + 1)).tolist()
    for k, (first, last) in enumerate(itertools.pairwise(firsts)):
        if first < last:
            yield SliceLoops(k, outlines[first:last], hollow[first:last], beside[k])


def _polygons(here: SliceLoops, holes: HoleEncoding) -> Sequence[Outline]:
    if not here.hollow.any():
        return here.loops
    if holes is HoleEncoding.KEYHOLE:
        return join_holes(here.loops, here.hollow, here.beside_yx)
    return [
        np.concatenate([loop[:1], loop[:0:-1]]) if hollow else loop
        for loop, hollow in zip(here.loops, here.hollow.tolist(), strict=True)
    ]


def _corners(
    inside: NDArray[np.uint8], beside: NDArray[np.uint8]
) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Return every corner (slice, row, column) of the outline in raster order, and whether its upright edge lies below.

    Where two parts touch there are two corners: the first belongs to the edge on the left, the second to the one on
    the right, and each turns round the voxel between its edges. "Below" is defined for these alone.
    """
    turns = beside[:, 1:] ^ beside[:, :-1]
    touching = beside[:, 1:] & beside[:, :-1]
    touching &= inside[:, 1:, 1:] ^ inside[:, :-1, 1:]
    turns |= touching
    flat = np.flatnonzero(turns.view(np.bool_))
    count = 1 + touching.reshape(-1)[flat]
    corners = np.stack(np.unravel_index(np.repeat(flat, count), turns.shape), axis=1)
    lower = np.zeros(len(corners), np.bool_)
    left = (np.cumsum(count) - count)[count == 2]
    z, row, column = corners[left].T
    upper_left_inside = inside[z, row, column] != 0
    lower[left], lower[left + 1] = ~upper_left_inside, upper_left_inside
    return corners, lower


def _partners_along_columns(corners: NDArray[np.int_], lower: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Return, for each corner, the one at the other end of its upright edge: sorted by column, they pair up."""
    z, row, column = corners.T
    key = ((z * (column.max() + 1) + column) * (row.max() + 1) + row) * 2 + lower
    order = np.argsort(key)
    partners = np.empty(len(corners), int)
    partners[order[0::2]], partners[order[1::2]] = order[1::2], order[0::2]
    return partners


class _Loops(NamedTuple):
    """Closed loops, concatenated: the corners that are left along a row, and where each loop begins among them."""

    walk: NDArray[np.int_]
    firsts: NDArray[np.int_]


def _loops(partners: NDArray[np.int_]) -> _Loops:
    """Return every loop once, each from its first corner in raster order.

    In raster order the corners of a row pair up as (2k, 2k + 1): the two ends of one edge along the row.
    """
    following = partners[np.arange(len(partners)) ^ 1].tolist()
    seen = bytearray(len(partners) // 2)
    walk: list[int] = []
    firsts = []
    for first in range(0, len(partners), 2):
        if seen[first >> 1]:
            continue
        firsts.append(len(walk))
        corner = first
        while True:
            seen[corner >> 1] = 1
            walk.append(corner)
            corner = following[corner]
            if corner == first:
                break
    return _Loops(np.array(walk), np.array(firsts))

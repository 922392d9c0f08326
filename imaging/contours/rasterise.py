"""Polygons to masks: the inverse of contours, exact and without a loop over polygons."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.contours.exact import PlanarContour
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, bounding_box

# Points are rounded to a lattice of a millionth of a voxel: coordinates that went through decimal text then meet voxel
# centres exactly or not at all, and a channel's two edges coincide.
_LATTICE = 2.0**20
_LOW_BITS = np.uint64(0x0101010101010101)


def rasterise(polygons: Sequence[PlanarContour], grid: Grid) -> Mask:
    """Return the voxels whose centre lies inside an odd number of the polygons on their slice (even-odd rule).

    That reads nested, keyhole and XOR contours alike. A centre on an edge is inside where the edge is a left or upper
    one. Whatever lies outside the grid is cut off. No polygons give the empty mask.
    """
    kept = [polygon for polygon in polygons if 0 <= polygon.slice_index < grid.shape_zyx[0]]
    if not kept:
        return Mask.empty()
    counts = np.array([len(polygon.points_lps) for polygon in kept])
    index = grid.index_zyx(np.concatenate([polygon.points_lps for polygon in kept]))
    corners = np.rint(index[:, 1:] * _LATTICE) / _LATTICE
    following = np.arange(1, len(corners) + 1)
    ends = np.cumsum(counts)
    following[ends - 1] = ends - counts
    slices = np.repeat(np.array([polygon.slice_index for polygon in kept]), counts)
    return _fill(*_crossings(corners, following, slices, grid.shape_zyx))


def _crossings(
    corners: NDArray[np.float64],
    following: NDArray[np.int_],
    slices: NDArray[np.int_],
    shape_zyx: tuple[int, int, int],
) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.int_]]:
    """Return slice, row and first column to the right of each point where an edge crosses a row of voxel centres."""
    row, column = np.ascontiguousarray(corners[:, 0]), np.ascontiguousarray(corners[:, 1])
    # The first row of centres that is not above each corner.
    level = np.clip(np.ceil(row), 0, shape_zyx[1]).astype(int)
    start = np.flatnonzero(level != level[following])
    end = following[start]
    down = row[start] < row[end]
    upper, lower = np.where(down, start, end), np.where(down, end, start)  # coinciding edges must cross alike
    first, count = level[upper], level[lower] - level[upper]
    edge = np.repeat(np.arange(len(count)), count)
    crossed = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    upper, lower = upper[edge], lower[edge]
    share = (crossed - row[upper]) / (row[lower] - row[upper])
    reached = np.ceil(column[upper] + share * (column[lower] - column[upper]))
    return slices[upper], crossed, np.clip(reached, 0, shape_zyx[2]).astype(int)


def _fill(slices: NDArray[np.int_], rows: NDArray[np.int_], columns: NDArray[np.int_]) -> Mask:
    """Return the mask whose voxels change between outside and inside at each crossing, from left to right."""
    if not len(slices):
        return Mask.empty()
    z, y, x = int(slices.min()), int(rows.min()), int(columns.min())
    depth, height, width = int(slices.max()) - z + 1, int(rows.max()) - y + 1, int(columns.max()) - x + 1
    voxels = depth * height * width
    flips = np.zeros(-(-voxels // 8) * 8, np.uint8)
    np.add.at(flips, ((slices - z) * height + (rows - y)) * width + (columns - x), np.uint8(1))
    # Each row holds an even number of crossings, so parity starts again with every row.
    inside = _parity_so_far(flips)[:voxels].view(np.bool_).reshape(depth, height, width)
    box = bounding_box(inside)
    if box is None:
        return Mask.empty()
    start = (z + box[0].start, y + box[1].start, x + box[2].start)
    return Mask(crop_zyx=np.ascontiguousarray(inside[box]), start_zyx=start)


def _parity_so_far(counts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tell in place, for each byte, whether the sum up to it is odd; takes eight bytes at a time, a multiple of 8."""
    words = counts.view("<u8")
    words &= _LOW_BITS
    for shift in (8, 16, 32):
        words ^= words << np.uint64(shift)
    before = np.bitwise_xor.accumulate(words >> np.uint64(56))[:-1]
    words[1:] ^= before * _LOW_BITS
    return counts

"""Voxel outlines moved to where a field reaches a level: points between voxel centres, in in-plane voxels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from imaging.contours.areas import areas
from imaging.contours.exact import SliceLoops
from imaging.volumes.volume import Mask

SMOOTHING_VOXELS = 1.0
_NEAREST_TO_CENTRE = 0.05  # of the way from one voxel centre to the next
_BISECTIONS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbabilityField:
    """Values (z, y, x) from 0 to 1, one half on the boundary, and where they start in the grid; 0 elsewhere."""

    crop_zyx: NDArray[np.float32]
    start_zyx: tuple[int, int, int]

    @classmethod
    def from_bytes(cls, crop_zyx: NDArray[np.uint8], start_zyx: tuple[int, int, int]) -> Self:
        """Return the field of a probability sent as 0 to 255; one half lies between 127 and 128."""
        return cls(crop_zyx=np.divide(crop_zyx, 255, dtype=np.float32), start_zyx=start_zyx)


def blurred(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return a padded mask (z, y, x) blurred within its slices, 0 to 1."""
    wide = int(4 * SMOOTHING_VOXELS) + 1
    padded = np.pad(inside.astype(np.float64), ((0, 0), (wide, wide), (wide, wide)))
    smooth = gaussian_filter(padded, (0, SMOOTHING_VOXELS, SMOOTHING_VOXELS))
    return np.asarray(smooth[:, wide:-wide, wide:-wide], np.float64)


def around(field: ProbabilityField, mask: Mask) -> NDArray[np.float64]:
    """Return the field's values on the mask's crop padded by a voxel in rows and columns, 0 outside the field."""
    depth, rows, columns = mask.crop_zyx.shape
    shape = (depth, rows + 2, columns + 2)
    offset = np.array(field.start_zyx) - np.array(mask.start_zyx) + (0, 1, 1)
    low = np.maximum(offset, 0)
    high = np.minimum(offset + field.crop_zyx.shape, shape)
    values = np.zeros(shape)
    if (high > low).all():
        target = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        source = tuple(slice(a, b) for a, b in zip(low - offset, high - offset, strict=True))
        values[target] = field.crop_zyx[source]
    return values


def moved_loops(
    here: SliceLoops, inside: NDArray[np.bool_], values: NDArray[np.float64], level: float | None
) -> Iterator[NDArray[np.float64]]:
    """Yield each loop as the midpoints of its voxel edges, moved across them to where the values reach the level.

    Without a level, each loop uses the one that keeps its area.
    """
    for loop in here.loops:
        edges = _Edges.of(loop, inside[here.slice_index], values[here.slice_index])
        area = abs(float(areas([loop.astype(float)])[0]))
        yield edges.at(edges.level_that_keeps(area) if level is None else level)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Edges:
    """The voxel edges of a loop: their midpoints, the step from the inner voxel to the outer, and both values."""

    middle: NDArray[np.float64]
    outward: NDArray[np.float64]
    inner: NDArray[np.float64]
    outer: NDArray[np.float64]

    @classmethod
    def of(cls, loop: NDArray[np.int_], inside: NDArray[np.bool_], values: NDArray[np.float64]) -> "_Edges":
        """Return the edges of a loop of corners; corner k lies between padded voxels k and k + 1."""
        steps = np.roll(loop, -1, axis=0) - loop
        lengths = np.abs(steps).sum(axis=1)
        unit = np.repeat(np.sign(steps), lengths, axis=0)
        ordinal = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        middle = np.repeat(loop, lengths, axis=0) + unit * (ordinal + 0.5)[:, None]
        across = unit[:, ::-1] * (1, -1)
        beyond = np.rint(middle + across / 2 + 0.5).astype(int)
        outward = np.where(inside[tuple(beyond.T)][:, None], -across, across)
        inner, outer = (np.rint(middle + side * outward / 2 + 0.5).astype(int) for side in (-1, 1))
        return cls(middle=middle, outward=outward, inner=values[tuple(inner.T)], outer=values[tuple(outer.T)])

    def at(self, level: float) -> NDArray[np.float64]:
        """Return the midpoints moved to where the values, linear between the centres, reach the level."""
        falls = self.inner > self.outer
        share = np.where(falls, (self.inner - level) / np.where(falls, self.inner - self.outer, 1), 0.5)
        share = np.clip(share, _NEAREST_TO_CENTRE, 1 - _NEAREST_TO_CENTRE)
        return np.asarray(self.middle + self.outward * (share - 0.5)[:, None], np.float64)

    def level_that_keeps(self, area: float) -> float:
        """Return the level at which the loop has this area, as nearly as the values allow."""
        low, high = 0.0, 1.0
        larger_when_lower = abs(float(areas([self.at(low)])[0])) > abs(float(areas([self.at(high)])[0]))
        for _ in range(_BISECTIONS):
            level = (low + high) / 2
            if (abs(float(areas([self.at(level)])[0])) > area) == larger_when_lower:
                low = level
            else:
                high = level
        return (low + high) / 2

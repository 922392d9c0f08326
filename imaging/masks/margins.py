"""Margins in mm round a mask, by patient direction; rings; and distances kept from another structure.

Definition: a voxel belongs to the expansion when its centre lies in the ellipsoid round the centre of some voxel of
the mask. The ellipsoid has its own semi-axis in each of the six patient directions, so it consists of eight octants:
(dx/a)^2 + (dy/b)^2 + (dz/c)^2 <= 1 with a, b and c of the directions in which the voxel lies, which is how planning
systems combine unequal margins. A contraction is the expansion of what is outside, with the directions reversed.

The result is exact, up to `TOLERANCE`, whatever the spacing: the sum has one term for each axis, so its least value
is found axis after axis. Everything beyond the grid counts as outside, and an expansion ends at the grid's edge.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.crops import box_of, cut_out, put_back, tightened
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

TOLERANCE = 1e-5
"""By how much the sum may exceed 1, because binary fractions cannot hold every spacing: 5e-6 of the margin."""
_SLAB_VOXELS = 1_000_000
_DIRECTIONS = (("right_mm", "left_mm"), ("anterior_mm", "posterior_mm"), ("inferior_mm", "superior_mm"))

Terms = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Margin:
    """A margin in mm, none negative, in each patient direction."""

    left_mm: float = 0.0
    right_mm: float = 0.0
    anterior_mm: float = 0.0
    posterior_mm: float = 0.0
    superior_mm: float = 0.0
    inferior_mm: float = 0.0

    def __post_init__(self) -> None:
        """Refuse negative margins; a contraction is a function of its own."""
        for field in fields(self):
            value = float(vars(self)[field.name])
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} must be 0 or more, not {value}")

    @classmethod
    def uniform(cls, margin_mm: float) -> "Margin":
        """Return the same margin in every direction."""
        return cls(**{field.name: margin_mm for field in fields(cls)})

    @property
    def is_uniform(self) -> bool:
        """Whether all six margins are equal."""
        return len(set(vars(self).values())) == 1

    def reversed(self) -> "Margin":
        """Return the margin seen from the other side: left for right, anterior for posterior, superior for inferior."""
        swapped = {a: vars(self)[b] for pair in _DIRECTIONS for a, b in (pair, pair[::-1])}
        return Margin(**swapped)


@dataclass(frozen=True, kw_only=True)
class _Reach:
    """Along each index axis z, y, x: the squared terms of 1, 2, ... voxels downwards and upwards."""

    down: tuple[Terms, Terms, Terms]
    up: tuple[Terms, Terms, Terms]

    @property
    def low(self) -> list[int]:
        return [len(terms) for terms in self.down]

    @property
    def high(self) -> list[int]:
        return [len(terms) for terms in self.up]


def expand(mask: Mask, grid: Grid, margin: Margin) -> Mask:
    """Return the mask with a margin round it, cut off at the grid's edge; empty where the mask is."""
    source = tightened(mask)
    if not source.crop_zyx.size:
        return Mask.empty()
    reach = _reach(grid, margin)
    box = box_of(source).grown(reach.low, reach.high).within(grid.shape_zyx)
    return put_back(_spread(cut_out(source, box), reach), box)


def contract(mask: Mask, grid: Grid, margin: Margin) -> Mask:
    """Return the mask without the voxels within the margin of its outside.

    `left_mm` is how much the left side loses.
    """
    return _part_inside(mask, mask, grid, margin)


def keep_inside(mask: Mask, other: Mask, grid: Grid, distance_mm: float) -> Mask:
    """Return the part of the mask in the other structure and farther than the distance from its outside (0: all)."""
    return _part_inside(mask, other, grid, Margin.uniform(distance_mm))


def keep_away(mask: Mask, other: Mask, grid: Grid, distance_mm: float) -> Mask:
    """Return the part of the mask that lies farther than the distance from the other structure (0: outside it)."""
    source = tightened(mask)
    reach = _reach(grid, Margin.uniform(distance_mm))
    box = box_of(source)
    wider = box.grown(reach.high, reach.low)
    near = _spread(cut_out(other, wider), reach)[box.slices_in(wider)]
    return put_back(source.crop_zyx & ~near, box)


def ring(mask: Mask, grid: Grid, inner_mm: float, outer_mm: float) -> Mask:
    """Return the voxels farther than `inner_mm` and not farther than `outer_mm` from the mask.

    Negative distances lie inside: a wall of 3 mm is (-3, 0), a shell of 10 mm next to the mask (0, 10). Raises
    ValueError where the ring has no width.
    """
    if not inner_mm < outer_mm:
        raise ValueError(f"a ring from {inner_mm:g} mm to {outer_mm:g} mm has no width")
    outer, inner = _moved(mask, grid, outer_mm), _moved(mask, grid, inner_mm)
    box = box_of(outer)
    return put_back(outer.crop_zyx & ~cut_out(inner, box), box)


def is_cut(mask: Mask, grid: Grid, margin: Margin) -> bool:
    """Tell whether the expansion of the mask would leave the grid."""
    source = tightened(mask)
    if not source.crop_zyx.size:
        return False
    reach = _reach(grid, margin)
    wanted = box_of(source).grown(reach.low, reach.high)
    return min(wanted.start) < 0 or bool(np.any(np.greater(wanted.stop, grid.shape_zyx)))


def _moved(mask: Mask, grid: Grid, distance_mm: float) -> Mask:
    margin = Margin.uniform(abs(distance_mm))
    return expand(mask, grid, margin) if distance_mm >= 0 else contract(mask, grid, margin)


def _part_inside(mask: Mask, other: Mask, grid: Grid, margin: Margin) -> Mask:
    source = tightened(mask)
    reach = _reach(grid, margin.reversed())
    box = box_of(source)
    wider = box.grown(reach.high, reach.low)
    outside = ~cut_out(other, wider)
    reached = _spread(outside, reach)[box.slices_in(wider)]
    return put_back(source.crop_zyx & ~reached, box)


def _reach(grid: Grid, margin: Margin) -> _Reach:
    """Return the margin in voxel steps; on an oblique grid, each direction is that of the nearest index axis."""
    axes = np.array(grid.axes_lps, float)
    nearest = np.abs(axes).argmax(axis=1)
    if sorted(nearest) != [0, 1, 2]:
        if not margin.is_uniform:
            raise ValueError(f"axes {grid.axes_lps} have no nearest patient direction each")
        nearest = np.arange(3)
    down, up = [], []
    for axis, direction, spacing_mm in zip(axes, nearest, grid.spacing_zyx_mm, strict=True):
        minus, plus = (float(vars(margin)[name]) for name in _DIRECTIONS[direction])
        if axis[direction] < 0:
            minus, plus = plus, minus
        down.append(_terms(minus, spacing_mm))
        up.append(_terms(plus, spacing_mm))
    return _Reach(down=(down[0], down[1], down[2]), up=(up[0], up[1], up[2]))


def _terms(semi_axis_mm: float, spacing_mm: float) -> Terms:
    count = int(np.floor(semi_axis_mm / spacing_mm * (1 + TOLERANCE / 2)))
    steps = np.arange(1, count + 1, dtype=float) * spacing_mm
    return np.asarray((steps / semi_axis_mm) ** 2 if count else steps, np.float32)


def _spread(seeds_zyx: NDArray[np.bool_], reach: _Reach) -> NDArray[np.bool_]:
    """Return the voxels of the array that lie within reach of a seed.

    Works slab by slab, so that there is never a whole array of floats.
    """
    result = seeds_zyx.copy()
    count = len(seeds_zyx)
    slab = max(1, _SLAB_VOXELS // max(1, seeds_zyx[0].size if count else 1))
    for first in range(0, count, slab):
        last = min(first + slab, count)
        if not seeds_zyx[first:last].any():
            continue
        least = _least_in_rows(_least_in_lines(seeds_zyx[first:last], reach), reach)
        result[first:last] |= least <= 1 + TOLERANCE
        for step, term in enumerate(reach.up[0], 1):
            end = min(last + step, count)
            if first + step < end:
                result[first + step : end] |= least[: end - first - step] <= 1 + TOLERANCE - term
        for step, term in enumerate(reach.down[0], 1):
            begin = max(first - step, 0)
            if begin < last - step:
                result[begin : last - step] |= least[begin + step - first :] <= 1 + TOLERANCE - term
    return result


def _least_in_lines(seeds_zyx: NDArray[np.bool_], reach: _Reach) -> NDArray[np.float32]:
    """Return, for each voxel, the least term to a seed in its line along x: that of the nearest on either side."""
    index = np.arange(seeds_zyx.shape[2], dtype=np.int32)
    far = np.int32(seeds_zyx.shape[2] + max(len(reach.down[2]), len(reach.up[2])) + 1)
    nearest = np.where(seeds_zyx, index, -far)
    np.maximum.accumulate(nearest, axis=2, out=nearest)
    least = _looked_up(np.subtract(index, nearest, out=nearest), reach.up[2])
    if len(reach.down[2]):
        nearest = np.where(seeds_zyx, index, 2 * far)[:, :, ::-1]
        np.minimum.accumulate(nearest, axis=2, out=nearest)
        nearest = nearest[:, :, ::-1]
        np.minimum(least, _looked_up(nearest - index, reach.down[2]), out=least)
    return least


def _looked_up(steps: NDArray[np.int32], terms: Terms) -> NDArray[np.float32]:
    table = np.concatenate([[0.0], terms, [np.inf]]).astype(np.float32)
    return table[np.minimum(steps, len(table) - 1, out=steps)]


def _least_in_rows(lines: NDArray[np.float32], reach: _Reach) -> NDArray[np.float32]:
    """Return the least sum of the terms along x and y."""
    least, moved = lines.copy(), np.empty_like(lines)
    rows = lines.shape[1]
    for step, term in enumerate(reach.up[1][: rows - 1], 1):
        np.add(lines[:, :-step], term, out=moved[:, step:])
        np.minimum(least[:, step:], moved[:, step:], out=least[:, step:])
    for step, term in enumerate(reach.down[1][: rows - 1], 1):
        np.add(lines[:, step:], term, out=moved[:, :-step])
        np.minimum(least[:, :-step], moved[:, :-step], out=least[:, :-step])
    return least

"""Every patient position brought into one orientation by flips and transposes only, and results brought back."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.grid import Grid, Vector
from imaging.volumes.volume import Mask, Masks, Volume

_T = TypeVar("_T")
_Scalar = TypeVar("_Scalar", bound=np.generic)
# Rows: the patient directions along which a canonical index z, y, x grows: to the head, to the back, to the left.
_CANONICAL = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True, kw_only=True)
class _Turn:
    """Which source axis becomes canonical axis z, y, x, and whether it is reversed."""

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]


def _turn(grid: Grid) -> _Turn:
    along = _CANONICAL @ np.array(grid.axes_lps, float).T
    order = tuple(int(i) for i in np.abs(along).argmax(axis=1))
    if sorted(order) != [0, 1, 2]:
        raise ValueError(f"axes {grid.axes_lps} have no nearest patient direction each")
    flipped = tuple(bool(along[k, axis] < 0) for k, axis in enumerate(order))
    return _Turn(order=_three(order), flipped=_three(flipped))


def canonical(volume: Volume) -> Volume:
    """Return the volume with index z growing to Superior, y to Posterior and x to Left, up to small obliquity.

    Only flips and transposes: every value is kept, and every voxel keeps its place in the patient. A volume that
    is already canonical is returned without a copy. `restore` takes masks made on the result back.
    """
    turn, grid = _turn(volume.grid), canonical_grid(volume.grid)
    array = np.ascontiguousarray(_apply(volume.array_zyx, turn))
    return Volume(array_zyx=array, grid=grid)


def canonical_grid(grid: Grid) -> Grid:
    """Return the grid onto which `canonical` puts a volume of `grid`: the same voxels, numbered towards S, P and L."""
    turn = _turn(grid)
    first = [
        grid.shape_zyx[axis] - 1 if back else 0 for axis, back in zip(turn.order, turn.flipped, strict=True)
    ]
    corner = [0, 0, 0]
    for axis, index in zip(turn.order, first, strict=True):
        corner[axis] = index
    axes = [_signed(grid.axes_lps[axis], back) for axis, back in zip(turn.order, turn.flipped, strict=True)]
    return Grid(
        shape_zyx=_three([grid.shape_zyx[axis] for axis in turn.order]),
        origin_lps=_three([float(v) for v in grid.points_lps(corner)]),
        spacing_zyx_mm=_three([grid.spacing_zyx_mm[axis] for axis in turn.order]),
        axes_lps=_three(axes),
    )


def canonical_masks(masks: Masks) -> Masks:
    """Return the same voxels as masks on `canonical_grid(masks.grid)`; `restore` is the inverse."""
    turn, shape = _turn(masks.grid), masks.grid.shape_zyx
    by_code = {code: _turn_mask(mask, turn, shape) for code, mask in masks.by_code.items()}
    return replace(masks, grid=canonical_grid(masks.grid), by_code=by_code)


def restore(masks: Masks, original: Grid) -> Masks:
    """Return masks made on `canonical_grid(original)` as masks with the same voxels on `original`.

    Raises ValueError where the masks lie on another grid.
    """
    if masks.grid != canonical_grid(original):
        raise ValueError("the masks do not lie on the canonical grid of this CT")
    turn = _turn(original)
    by_code = {code: _restore_mask(mask, turn, masks.grid.shape_zyx) for code, mask in masks.by_code.items()}
    return replace(masks, grid=original, by_code=by_code)


def restore_array(array_zyx: NDArray[np.generic], original: Grid) -> NDArray[np.generic]:
    """Return a whole-grid array made on `canonical_grid(original)` in the index order of `original` (a view)."""
    turn = _turn(original)
    flips = tuple(slice(None, None, -1) if back else slice(None) for back in turn.flipped)
    inverse = tuple(int(i) for i in np.argsort(turn.order))
    return array_zyx[flips].transpose(inverse)


def _restore_mask(mask: Mask, turn: _Turn, shape_zyx: tuple[int, int, int]) -> Mask:
    if not mask.crop_zyx.size:
        return Mask.empty()
    start = [
        n - s - c if back else s
        for n, s, c, back in zip(shape_zyx, mask.start_zyx, mask.crop_zyx.shape, turn.flipped, strict=True)
    ]
    inverse = [int(i) for i in np.argsort(turn.order)]
    flips = tuple(slice(None, None, -1) if back else slice(None) for back in turn.flipped)
    crop = np.ascontiguousarray(mask.crop_zyx[flips].transpose(inverse))
    return Mask(crop_zyx=crop, start_zyx=_three([start[i] for i in inverse]))


def _turn_mask(mask: Mask, turn: _Turn, shape_zyx: tuple[int, int, int]) -> Mask:
    if not mask.crop_zyx.size:
        return Mask.empty()
    start = [
        shape_zyx[axis] - mask.start_zyx[axis] - mask.crop_zyx.shape[axis] if back else mask.start_zyx[axis]
        for axis, back in zip(turn.order, turn.flipped, strict=True)
    ]
    return Mask(crop_zyx=np.ascontiguousarray(_apply(mask.crop_zyx, turn)), start_zyx=_three(start))


def _apply(array_zyx: NDArray[_Scalar], turn: _Turn) -> NDArray[_Scalar]:
    flips = tuple(slice(None, None, -1) if back else slice(None) for back in turn.flipped)
    return array_zyx.transpose(turn.order)[flips]


def _signed(axis: Vector, back: bool) -> Vector:  # noqa: FBT001 - a private helper of two lines
    return (-axis[0] + 0.0, -axis[1] + 0.0, -axis[2] + 0.0) if back else axis


def _three(values: tuple[_T, ...] | list[_T]) -> tuple[_T, _T, _T]:
    a, b, c = values
    return a, b, c

"""Paints layers of shapes onto a grid, sampled more finely where voxels are large, and averaged down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask
from phantoms.layers import Layer
from phantoms.pose import Pose
from phantoms.shapes import BoundingBox, Field, Shape
from phantoms.texture import Texture

AIR_HU = -1000.0
_STRIDE = 6
_SLAB_VOXELS = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Painting:
    """HU (z, y, x) as float32, the voxels that contain part of the patient, and the structures' masks."""

    hu_zyx: NDArray[np.float32]
    body_zyx: NDArray[np.bool_]
    masks: Mapping[str, Mask]


def fineness(grid: Grid) -> tuple[int, int, int]:
    """Return at how many points a voxel is sampled along z, y, x: about 1.5 mm apart, but never more than three."""
    dz, dy, dx = grid.spacing_zyx_mm
    z, y, x = (min(3, max(1, round(mm))) for mm in (dz / 1.6, dy / 1.4, dx / 1.4))
    return z, y, x


def paint(
    grid: Grid, pose: Pose, layers: Sequence[Layer], structures: Mapping[str, Shape], seed: int
) -> Painting:
    """Paint ``layers`` in order; the first is the body, and nothing is painted outside it.

    A structure's mask has the voxels whose centres lie inside its shape. ``grid`` has the patient's axes +z, +y, +x.
    """
    if not np.allclose(grid.axes_lps, np.eye(3)[::-1]):
        raise ValueError(f"A phantom is painted on axes z, y, x of the patient, not on {grid.axes_lps}.")
    hu = np.full(grid.shape_zyx, AIR_HU, np.float32)
    body = np.zeros(grid.shape_zyx, bool)
    masks = {code: np.zeros(grid.shape_zyx, bool) for code in structures}
    fine = fineness(grid)
    texture = Texture(seed=seed)
    step = max(1, _SLAB_VOXELS // (int(np.prod(grid.shape_zyx[1:])) * int(np.prod(fine))))
    for start in range(0, grid.shape_zyx[0], step):
        slab = slice(start, min(start + step, grid.shape_zyx[0]))
        window = _window(grid, pose, layers[0].shape, slab)
        if window is None:
            continue
        centres = _Points(pose.straightened(*_mesh(grid, window, (1, 1, 1))))
        for code, shape in structures.items():
            _mark(masks[code][window], shape, centres)
        hu[window], body[window] = _slab(_mesh(grid, window, fine), fine, pose, layers, texture)
    return Painting(hu_zyx=hu, body_zyx=body, masks={c: Mask.from_full(m) for c, m in masks.items()})


class _Points:
    """The sample points in the straight patient's frame, over (z, y, x), and the search for those in a box."""

    def __init__(self, xyz: tuple[Field, Field, Field]) -> None:
        self.xyz = xyz
        self._at = tuple(np.unique(np.append(np.arange(0, n, _STRIDE), n - 1)) for n in xyz[0].shape)
        self._few = tuple(at[np.ix_(*self._at)] for at in xyz)
        self._reach = tuple(3.0 + _largest_step(few) for few in self._few)

    def within(self, place: tuple[slice, slice, slice]) -> tuple[Field, Field, Field]:
        x, y, z = (at[place] for at in self.xyz)
        return x, y, z

    def where(self, box: BoundingBox) -> tuple[slice, slice, slice] | None:
        """Return the index box outside which no point lies in ``box``, searched on a subset of the points."""
        near = np.ones(self._few[0].shape, bool)
        for few, reach, low, high in zip(self._few, self._reach, box.low, box.high, strict=True):
            near &= (few > low - reach) & (few < high + reach)
            if not near.any():
                return None
        slices = []
        for axis, at in enumerate(self._at):
            hits = np.flatnonzero(near.any(axis=tuple(a for a in range(3) if a != axis)))
            first, last = at[max(hits[0] - 1, 0)], at[min(hits[-1] + 1, len(at) - 1)]
            slices.append(slice(int(first), int(last) + 1))
        return slices[0], slices[1], slices[2]


def _slab(
    mesh: tuple[Field, Field, Field],
    fine: tuple[int, int, int],
    pose: Pose,
    layers: Sequence[Layer],
    texture: Texture,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return HU and body of one slab, averaged down from its fine points."""
    points = _Points(pose.straightened(*mesh))
    grain = texture.on(*mesh)
    hu = np.full(grain.shape, AIR_HU, np.float32)
    outside = layers[0].shape.distance(*points.xyz)
    _fill(hu, layers[0], outside, points.xyz, grain)
    for layer in layers[1:]:
        place = points.where(layer.shape.box)
        if place is not None:
            found = points.within(place)
            _fill(hu[place], layer, layer.shape.distance(*found), found, grain[place])
    body = outside < 0
    hu[~body] = AIR_HU
    return _averaged(hu, fine), _averaged(body.astype(np.float32), fine) >= 0.5


def _fill(hu: Field, layer: Layer, distance: Field, points: tuple[Field, Field, Field], grain: Field) -> None:
    for fill in layer.fills:
        inside = distance < -fill.depth_mm
        if fill.within is not None:
            inside &= fill.within.distance(*points) < 0
        value: Field | float = fill.hu
        if fill.texture_hu:
            value = fill.hu + np.float32(fill.texture_hu) * grain[inside]
        hu[inside] = value


def _mark(mask: NDArray[np.bool_], shape: Shape, centres: _Points) -> None:
    place = centres.where(shape.box)
    if place is not None:
        mask[place] = shape.distance(*centres.within(place)) < 0


def _averaged(values: Field, fine: tuple[int, int, int]) -> Field:
    shape = [part for n, count in zip(values.shape, fine, strict=True) for part in (n // count, count)]
    return np.asarray(values.reshape(shape).mean(axis=(1, 3, 5)), np.float32)


def _window(grid: Grid, pose: Pose, skin: Shape, slab: slice) -> tuple[slice, slice, slice] | None:
    """Return the part of a slab of slices that can contain the patient; None where there is none."""
    _, rows, columns = grid.shape_zyx
    stride = max(1, round(8 / grid.spacing_zyx_mm[2]))
    x, y, z = _mesh(grid, (slab, slice(0, rows), slice(0, columns)), (1, 1, 1))
    depth = z[:: max(1, len(z) - 1)] if len(z) < 4 else z[:: max(1, len(z) // 4)]
    near = skin.distance(*pose.straightened(x[..., ::stride], y[:, ::stride], depth)) < 18
    if not near.any():
        return None
    found = []
    for axis, count in ((1, rows), (2, columns)):
        hits = np.flatnonzero(near.any(axis=(0, 3 - axis)))
        found.append(slice(max(0, (hits[0] - 1) * stride), min(count, (hits[-1] + 2) * stride)))
    return slab, found[0], found[1]


def _mesh(
    grid: Grid, window: tuple[slice, slice, slice], fine: tuple[int, int, int]
) -> tuple[Field, Field, Field]:
    """Return x, y, z in patient mm of the sample points of a window, as an open mesh over (z, y, x)."""
    axes = []
    for axis in range(3):
        part, count = window[axis], fine[axis]
        index = np.arange(part.start * count, part.stop * count)
        at = (index + 0.5) / count - 0.5
        axes.append((grid.origin_lps[2 - axis] + at * grid.spacing_zyx_mm[axis]).astype(np.float32))
    z, y, x = axes
    return x[None, None, :], y[None, :, None], z[:, None, None]


def _largest_step(values: Field) -> float:
    steps = [float(np.abs(np.diff(values, axis=a)).max()) for a in range(3) if values.shape[a] > 1]
    return max(steps, default=0.0)

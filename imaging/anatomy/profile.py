"""The body along z: how large each cross-section is, and how much of it is air, bone and the inside of the skull.

Method: the volume is sampled on cells of about `CELL_MM` in slices about `SLAB_MM` apart. In each slice the body is
everything denser than `BODY_THRESHOLD_HU`, opened by one cell (couch shells and masks are thinner), without pieces of
less than `SHARE` of the largest, and with its holes filled. A cell counts as bone where one of four voxels spread
over it is denser than `BONE_HU`. Intracranial is the soft tissue that bone encloses in the slice's plane.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.masks.hounsfield import BODY_THRESHOLD_HU
from imaging.volumes.volume import Volume

CELL_MM = 4.0
SLAB_MM = 6.0
MOST_SLABS = 400
SHARE = 0.2
AIR_HU = -400
BONE_HU = 250
SOFT_TISSUE_HU = (-20, 100)
_IN_PLANE = np.array([[[0, 0, 0]] * 3, [[0, 1, 0], [1, 1, 1], [0, 1, 0]], [[0, 0, 0]] * 3], np.bool_)

Stack = NDArray[np.bool_]
PerSlab = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyProfile:
    """A body's cross-sections from inferior to superior; every array has one entry per slab; areas are in cm2.

    `body` (slab, row, column) is the filled body on cells of `step_zyx` voxels. `edges_yx` (slab, 4) are the body's
    front, back, right and left ends in voxel indices, NaN where a slab has no body. `cut_share` is the share of the
    body's outline that lies on the edge of the image.
    """

    step_zyx: tuple[int, int, int]
    slab_mm: float
    body: Stack
    area_cm2: PerSlab
    air_cm2: PerSlab
    bone_cm2: PerSlab
    intracranial_cm2: PerSlab
    edges_yx: NDArray[np.float64]
    width_mm: PerSlab
    depth_mm: PerSlab
    cut_share: PerSlab

    @property
    def slabs(self) -> int:
        """The number of slabs."""
        return len(self.area_cm2)

    def slab_of(self, z: float) -> int:
        """Return the slab that a slice index lies in."""
        return min(max(int(z) // self.step_zyx[0], 0), self.slabs - 1)


def body_profile(upright: Volume) -> BodyProfile:
    """Measure the cross-sections of a volume in canonical orientation (see `imaging.volumes.orientation.canonical`)."""
    step = _steps(upright)
    dz, dy, dx = upright.grid.spacing_zyx_mm
    cell_mm2 = step[1] * dy * step[2] * dx
    cells, densest = _cells(upright.hu_zyx, step)
    body = _body(cells > BODY_THRESHOLD_HU)
    bone = (densest > BONE_HU) & body
    skull = _filled(_closed(bone)) & ~bone & body
    soft = (cells > SOFT_TISSUE_HU[0]) & (cells < SOFT_TISSUE_HU[1])
    edges = _edges(body, step)

    def cm2(stack: Stack) -> PerSlab:
        return np.asarray(np.count_nonzero(stack, axis=(1, 2)) * (cell_mm2 / 100.0), np.float64)

    return BodyProfile(
        step_zyx=step,
        slab_mm=step[0] * dz,
        body=body,
        area_cm2=cm2(body),
        air_cm2=cm2(body & (cells < AIR_HU)),
        bone_cm2=cm2(bone),
        intracranial_cm2=cm2(skull & soft),
        edges_yx=edges,
        width_mm=np.nan_to_num(edges[:, 3] - edges[:, 2]) * dx,
        depth_mm=np.nan_to_num(edges[:, 1] - edges[:, 0]) * dy,
        cut_share=_cut_share(body),
    )


def _steps(volume: Volume) -> tuple[int, int, int]:
    dz, dy, dx = volume.grid.spacing_zyx_mm
    thin = max(1, round(SLAB_MM / dz), -(-volume.grid.shape_zyx[0] // MOST_SLABS))
    return thin, max(1, round(CELL_MM / dy)), max(1, round(CELL_MM / dx))


def _cells(hu: NDArray[np.int16], step: tuple[int, int, int]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return one voxel of each cell, and the densest of four of its voxels (HU, one entry per cell)."""
    kz, ky, kx = step
    slabs = hu[min(kz // 2, len(hu) - 1) :: kz]
    samples = []
    for y, x in ((ky // 2, kx // 2), (0, 0), (ky // 2, 0), (0, kx // 2)):
        rows = np.minimum(np.arange(0, hu.shape[1], ky) + y, hu.shape[1] - 1)
        columns = np.minimum(np.arange(0, hu.shape[2], kx) + x, hu.shape[2] - 1)
        samples.append(slabs[:, rows[:, None], columns[None, :]])
        if (ky, kx) == (1, 1):
            break
    return samples[0], np.maximum.reduce(samples)


def _body(dense: Stack) -> Stack:
    opened = _grown(~_grown(~dense))
    labels, count = ndimage.label(opened & dense, _IN_PLANE)
    if count == 0:
        return opened
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    largest = sizes[labels.reshape(len(labels), -1)].max(axis=1)
    keep = sizes[labels] >= np.maximum(1, SHARE * largest)[:, None, None]
    return _filled(np.asarray(keep, np.bool_))


def _grown(stack: Stack) -> Stack:
    """Return the stack grown by the four neighbours in the plane; nothing grows in from beyond the image."""
    return _spread(stack, 1) | _spread(stack, 2)


def _closed(stack: Stack) -> Stack:
    """Return the stack with gaps of one cell closed, diagonally too; nothing is removed at the edge of the image."""
    grown = _spread(_spread(stack, 1), 2)
    return ~_spread(_spread(~grown, 1), 2) | stack


def _spread(stack: Stack, axis: int) -> Stack:
    result = stack.copy()
    ahead, behind = ((slice(None),) * axis + (part,) for part in (slice(1, None), slice(None, -1)))
    result[ahead] |= stack[behind]
    result[behind] |= stack[ahead]
    return result


def _filled(stack: Stack) -> Stack:
    """Return the stack with every hole filled that is enclosed within its slice."""
    outside = np.pad(~stack, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    labels, count = ndimage.label(outside, _IN_PLANE)
    open_air = np.zeros(count + 1, np.bool_)
    open_air[labels[:, 0, 0]] = True  # the frame of each slice is one piece
    return np.asarray(~open_air[labels][:, 1:-1, 1:-1], np.bool_)


def _edges(body: Stack, step: tuple[int, int, int]) -> NDArray[np.float64]:
    result = np.full((len(body), 4), np.nan)
    for axis, first in ((2, 0), (1, 2)):
        line = np.asarray(body.any(axis=axis), np.bool_)
        some = np.asarray(line.any(axis=1), np.bool_)
        k = step[1] if first == 0 else step[2]
        result[some, first] = line.argmax(axis=1)[some] * k
        result[some, first + 1] = (line.shape[1] - line[:, ::-1].argmax(axis=1)[some]) * k
    return result


def _cut_share(body: Stack) -> PerSlab:
    inner = body.copy()
    inner[:, 1:-1, 1:-1] &= body[:, :-2, 1:-1] & body[:, 2:, 1:-1] & body[:, 1:-1, :-2] & body[:, 1:-1, 2:]
    inner[:, [0, -1]] = False
    inner[:, :, [0, -1]] = False
    outline = np.count_nonzero(body & ~inner, axis=(1, 2))
    on_edge = np.count_nonzero(body, axis=(1, 2)) - np.count_nonzero(body[:, 1:-1, 1:-1], axis=(1, 2))
    return np.asarray(on_edge / np.maximum(outline, 1), np.float64)

"""Small grids with unequal spacing that lie off-centre, and masks drawn voxel by voxel."""

from collections.abc import Iterable

import numpy as np

from imaging.volumes.grid import Grid, Vector
from imaging.volumes.volume import Mask

S, P, L = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)
I, A, R = (0.0, 0.0, -1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)  # noqa: E741 - the direction's letter
POSITIONS = {
    "HFS": (S, P, L),
    "HFP": (S, A, R),
    "FFS": (I, P, R),
    "FFP": (I, A, L),
    "HFDR": (S, R, P),
    "HFDL": (S, L, A),
    "FFDR": (I, R, A),
    "FFDL": (I, L, P),
}


def grid(
    shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: Vector = (3.0, 1.0, 2.0),
    axes_lps: tuple[Vector, Vector, Vector] = (S, P, L),
) -> Grid:
    return Grid(
        shape_zyx=shape_zyx, origin_lps=(-71.0, 33.5, 912.0), spacing_zyx_mm=spacing_zyx_mm, axes_lps=axes_lps
    )


def mask(shape_zyx: tuple[int, int, int], *voxels: tuple[int, int, int]) -> Mask:
    full = np.zeros(shape_zyx, bool)
    for voxel in voxels:
        full[voxel] = True
    return Mask.from_full(full)


def voxels(found: Mask) -> set[tuple[int, int, int]]:
    index = np.argwhere(found.crop_zyx) + np.array(found.start_zyx)
    return {(int(z), int(y), int(x)) for z, y, x in index}


def block(z: Iterable[int], y: Iterable[int], x: Iterable[int]) -> set[tuple[int, int, int]]:
    rows, columns = list(y), list(x)
    return {(a, b, c) for a in z for b in rows for c in columns}

"""Small volumes with nothing in them but what a test puts there."""

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.grid import Grid, Vector
from imaging.volumes.volume import Volume

UPRIGHT: tuple[Vector, Vector, Vector] = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
PRONE_FEET_FIRST: tuple[Vector, Vector, Vector] = ((0.0, 0.0, -1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0))


def volume(
    array_zyx: NDArray[np.int16],
    spacing_zyx_mm: Vector = (2.5, 0.9, 1.1),
    axes_lps: tuple[Vector, Vector, Vector] = UPRIGHT,
) -> Volume:
    """The array on a grid whose origin is nowhere special."""
    nz, ny, nx = array_zyx.shape
    grid = Grid(
        shape_zyx=(nz, ny, nx),
        origin_lps=(-31.0, 12.5, 207.0),
        spacing_zyx_mm=spacing_zyx_mm,
        axes_lps=axes_lps,
    )
    return Volume(array_zyx=array_zyx, grid=grid)


def air(shape_zyx: tuple[int, int, int]) -> NDArray[np.int16]:
    return np.full(shape_zyx, -1000, np.int16)

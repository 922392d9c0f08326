import math

import numpy as np
import pytest

from imaging.volumes.grid import Grid

GRID = Grid(
    shape_zyx=(2, 3, 4),
    origin_lps=(10.0, -20.0, 5.0),
    spacing_zyx_mm=(4.0, 2.0, 0.5),
    axes_lps=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
)


def test_index_to_millimetres_by_hand() -> None:
    assert GRID.points_lps((0, 0, 0)).tolist() == [10, -20, 5]
    assert GRID.points_lps((1, 2, 3)).tolist() == [10 - 1.5, -20 + 4, 5 - 4]
    assert GRID.points_lps([[0.5, 0, 0], [0, 0.5, 0]]).tolist() == [[10, -20, 3], [10, -19, 5]]


def test_millimetres_to_index_is_the_inverse() -> None:
    index = np.random.default_rng(1).uniform(-5, 5, (20, 3))
    assert np.allclose(GRID.index_zyx(GRID.points_lps(index)), index)


def test_the_affine_says_the_same() -> None:
    assert np.allclose(GRID.affine() @ (1, 2, 3, 1), [8.5, -16, 1, 1])


def test_grids_compare_and_hash_by_value() -> None:
    other = Grid(
        shape_zyx=(2, 3, 4),
        origin_lps=GRID.origin_lps,
        spacing_zyx_mm=GRID.spacing_zyx_mm,
        axes_lps=GRID.axes_lps,
    )
    assert other == GRID
    assert hash(other) == hash(GRID)
    assert GRID.voxel_volume_mm3 == 4


@pytest.mark.parametrize(
    ("shape", "spacing", "axes"),
    [
        ((0, 3, 4), (1, 1, 1), GRID.axes_lps),
        ((2, 3, 4), (1, 0, 1), GRID.axes_lps),
        ((2, 3, 4), (1, math.nan, 1), GRID.axes_lps),
        ((2, 3, 4), (1, math.inf, 1), GRID.axes_lps),
        ((2, 3, 4), (1, 1, 1), ((0, 0, 1), (0, 1, 0))),
        ((2, 3, 4), (1, 1, 1), ((0, 0, 1), (0, 1, 0), (0, 1, 0))),
        ((2, 3, 4), (1, 1, 1), ((0, 0, 2), (0, 1, 0), (1, 0, 0))),
    ],
)
def test_what_is_no_lattice_is_refused(shape, spacing, axes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"grid|spacing|axes"):
        Grid(shape_zyx=shape, origin_lps=(0, 0, 0), spacing_zyx_mm=spacing, axes_lps=axes)


def test_axes_may_be_off_by_a_thousandth_and_no_more() -> None:
    def tilted(by: float) -> Grid:
        axes = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, by, 0.0))
        return Grid(shape_zyx=(1, 1, 1), origin_lps=(0, 0, 0), spacing_zyx_mm=(1, 1, 1), axes_lps=axes)

    assert tilted(0.0009).axes_lps[2][1] == 0.0009
    with pytest.raises(ValueError, match="orthonormal"):
        tilted(0.0012)

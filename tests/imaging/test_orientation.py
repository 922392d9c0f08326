import numpy as np
import pytest

from imaging.volumes.grid import Grid, Vector
from imaging.volumes.orientation import canonical, canonical_grid, canonical_masks, restore, restore_array
from imaging.volumes.volume import Mask, Masks, Volume
from tests.imaging.small_masks import POSITIONS, L, P, S


def volume_in(axes: tuple[Vector, Vector, Vector]) -> Volume:
    """A volume whose every HU tells where in the patient it lies."""
    grid = Grid(
        shape_zyx=(2, 3, 4), origin_lps=(7.0, -3.0, 50.0), spacing_zyx_mm=(2.5, 1.5, 0.75), axes_lps=axes
    )
    points = grid.points_lps(np.stack(np.meshgrid(*map(np.arange, grid.shape_zyx), indexing="ij"), axis=-1))
    return Volume(array_zyx=np.rint(points @ (1, 17, 289)).astype(np.int16), grid=grid)


@pytest.mark.parametrize("position", POSITIONS)
def test_every_position_becomes_s_p_l_and_no_voxel_moves(position: str) -> None:
    volume = volume_in(POSITIONS[position])
    turned = canonical(volume)
    assert turned.grid.axes_lps == (S, P, L)
    points = turned.grid.points_lps(
        np.stack(np.meshgrid(*map(np.arange, turned.grid.shape_zyx), indexing="ij"), axis=-1)
    )
    assert np.array_equal(turned.array_zyx, np.rint(points @ (1, 17, 289)))
    assert turned.array_zyx.flags.c_contiguous
    assert np.array_equal(restore_array(turned.array_zyx, volume.grid), volume.array_zyx)


@pytest.mark.parametrize("position", POSITIONS)
def test_masks_go_there_and_back(position: str) -> None:
    volume = volume_in(POSITIONS[position])
    full = volume.array_zyx > np.median(volume.array_zyx)
    full[0, 0, 0] = False
    masks = Masks(grid=volume.grid, by_code={"a": Mask.from_full(full), "none": Mask.empty()})
    turned = canonical_masks(masks)
    upright = canonical(volume)
    expected = upright.array_zyx > np.median(volume.array_zyx)
    assert turned.grid == upright.grid == canonical_grid(volume.grid)
    found = turned.by_code["a"].full(turned.grid.shape_zyx)
    assert int((found ^ expected).sum()) <= 1
    back = restore(turned, volume.grid)
    assert back.grid == volume.grid
    assert np.array_equal(back.by_code["a"].full(volume.grid.shape_zyx), full)
    assert back.by_code["none"].voxels() == 0


def test_a_canonical_volume_is_not_copied() -> None:
    volume = volume_in(POSITIONS["HFS"])
    assert np.shares_memory(canonical(volume).array_zyx, volume.array_zyx)


def test_slight_obliquity_stays() -> None:
    c, s = np.cos(0.2), np.sin(0.2)
    volume = volume_in(((0.0, s, -c), (0.0, c, s), (-1.0, 0.0, 0.0)))
    assert np.allclose(canonical(volume).grid.axes_lps, ((0, -s, c), (0, c, s), (1, 0, 0)))


def test_masks_of_another_grid_are_refused() -> None:
    volume = volume_in(POSITIONS["FFS"])
    with pytest.raises(ValueError, match="canonical grid"):
        restore(Masks(grid=volume.grid, by_code={}), volume.grid)


def test_axes_of_which_two_run_the_same_way_are_refused() -> None:
    axes = (
        (2 / 3, 2 / 3, -1 / 3),
        (2 / 3, -1 / 3, 2 / 3),
        (-1 / 3, 2 / 3, 2 / 3),
    )  # as far from each as can be
    with pytest.raises(ValueError, match="no nearest patient direction"):
        canonical_grid(volume_in(axes).grid)

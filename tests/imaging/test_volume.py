import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume, bounding_box

GRID = Grid(
    shape_zyx=(2, 3, 4),
    origin_lps=(0, 0, 0),
    spacing_zyx_mm=(1, 1, 1),
    axes_lps=((0, 0, 1), (0, 1, 0), (1, 0, 0)),
)


def test_a_volume_lies_on_its_grid_as_int16_or_float32() -> None:
    assert Volume(array_zyx=np.zeros((2, 3, 4), np.int16), grid=GRID).grid == GRID
    with pytest.raises(ValueError, match="shape"):
        Volume(array_zyx=np.zeros((2, 3, 5), np.int16), grid=GRID)
    with pytest.raises(ValueError, match="int16"):
        Volume(array_zyx=np.zeros((2, 3, 4), np.float64), grid=GRID)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no Hounsfield units"):
        _ = Volume(array_zyx=np.zeros((2, 3, 4), np.float32), grid=GRID).hu_zyx


def test_a_mask_is_a_tight_crop() -> None:
    full = np.zeros((4, 5, 16), np.bool_)
    full[1, 2, 3] = full[2, 4, 9] = True
    mask = Mask.from_full(full)
    assert mask.start_zyx == (1, 2, 3)
    assert mask.crop_zyx.shape == (2, 3, 7)
    assert mask.voxels() == 2
    assert np.array_equal(mask.full((4, 5, 16)), full)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, max_side=9)),
    st.permutations([0, 1, 2]),
)
def test_any_array_in_any_memory_layout_comes_back(full: NDArray[np.bool_], order: list[int]) -> None:
    turned = full.transpose(order)
    assert np.array_equal(Mask.from_full(turned).full(turned.shape), turned)  # type: ignore[arg-type]


def test_nothing_set_is_the_empty_mask() -> None:
    empty = Mask.from_full(np.zeros((3, 4, 8), np.bool_))
    assert empty.voxels() == 0
    assert not empty.full((3, 4, 8)).any()
    assert bounding_box(np.zeros((0, 4, 8), np.bool_)) is None


def test_masks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="boolean"):
        Mask(crop_zyx=np.zeros((2, 2), np.bool_), start_zyx=(0, 0, 0))
    with pytest.raises(ValueError, match="boolean"):
        Mask(crop_zyx=np.zeros((2, 2, 2), np.uint8), start_zyx=(0, 0, 0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="starts inside"):
        Mask(crop_zyx=np.ones((2, 2, 2), np.bool_), start_zyx=(0, -1, 0))
    with pytest.raises(ValueError, match="does not fit"):
        Mask(crop_zyx=np.ones((2, 2, 2), np.bool_), start_zyx=(3, 0, 0)).full((4, 4, 4))


@pytest.mark.parametrize("axis", range(3))
def test_a_mask_fits_up_to_the_grids_last_voxel_on_each_axis(axis: int) -> None:
    start = tuple(2 if k == axis else 0 for k in range(3))
    mask = Mask(crop_zyx=np.ones((2, 2, 2), np.bool_), start_zyx=(start[0], start[1], start[2]))
    assert mask.full((4, 4, 4)).sum() == 8
    short = tuple(3 if k == axis else 4 for k in range(3))
    with pytest.raises(ValueError, match="does not fit"):
        mask.full((short[0], short[1], short[2]))

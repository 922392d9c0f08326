"""Cross-sections of small bodies whose areas are known from their construction."""

import numpy as np
import pytest

from imaging.anatomy import body_profile
from tests.support.bodies import upright_volume


def block(shape=(4, 50, 60), spacing=(6.0, 4.0, 4.0)) -> np.ndarray:
    """A body of 30 x 40 cells of 4 mm: 120 x 160 mm, 192 cm2."""
    array = np.full(shape, -1000, np.int16)
    array[:, 10:40, 10:50] = 40
    return array


def test_area_width_depth_and_edges_of_a_block() -> None:
    profile = body_profile(upright_volume(block(), (6.0, 4.0, 4.0)))
    # the opening rounds the corners: one cell each
    assert profile.area_cm2 == pytest.approx([(30 * 40 - 4) * 0.16] * 4)
    assert profile.edges_yx.tolist() == [[10, 40, 10, 50]] * 4
    assert profile.width_mm.tolist() == [160.0] * 4
    assert profile.depth_mm.tolist() == [120.0] * 4
    assert profile.cut_share.tolist() == [0.0] * 4
    assert profile.slab_mm == 6.0


def test_enclosed_air_counts_as_body_and_as_air_and_open_air_does_not() -> None:
    array = block()
    array[:, 20:25, 20:30] = -900  # enclosed: 50 cells
    array[:, 10:15, 40:44] = -900  # open to the front: 20 cells
    profile = body_profile(upright_volume(array, (6.0, 4.0, 4.0)))
    assert profile.air_cm2 == pytest.approx([50 * 0.16] * 4)
    assert profile.area_cm2[0] == pytest.approx((30 * 40 - 20 - 6) * 0.16, abs=4 * 0.16)


def test_soft_tissue_in_a_ring_of_bone_is_intracranial_and_a_gap_of_one_cell_is_closed() -> None:
    array = block()
    array[:, 15:35, 15:45] = 900
    array[:, 17:33, 17:43] = 30
    array[:, 25, 15:17] = 30  # a suture
    profile = body_profile(upright_volume(array, (6.0, 4.0, 4.0)))
    assert profile.intracranial_cm2 == pytest.approx([16 * 26 * 0.16] * 4, rel=0.02)
    assert profile.bone_cm2[0] == pytest.approx((20 * 30 - 16 * 26 - 2) * 0.16)


def test_thin_shells_and_small_pieces_are_no_body_and_two_legs_are() -> None:
    array = np.full((3, 50, 60), -1000, np.int16)
    array[:, 10:30, 5:25] = 40
    array[:, 10:30, 35:55] = 40
    array[:, 40:42, :] = 200  # a couch top of 8 mm
    array[:, 46:49, 30:33] = 40  # a bolus of 12 mm
    profile = body_profile(upright_volume(array, (6.0, 4.0, 4.0)))
    assert profile.area_cm2 == pytest.approx([2 * (400 - 4) * 0.16] * 3)


def test_a_body_that_the_image_cuts_says_so() -> None:
    array = block()
    array[:, 10:40, :] = 40
    profile = body_profile(upright_volume(array, (6.0, 4.0, 4.0)))
    assert profile.cut_share[0] == pytest.approx(60 / (2 * 60 + 2 * 28), rel=0.02)


def test_an_empty_ct_has_no_body() -> None:
    profile = body_profile(upright_volume(np.full((2, 20, 20), -1000, np.int16)))
    assert profile.area_cm2.tolist() == [0.0] * profile.slabs
    assert np.isnan(profile.edges_yx).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 2), (7, 2, 300), (3, 513, 511)])
def test_any_shape_is_measured(shape: tuple[int, int, int]) -> None:
    profile = body_profile(upright_volume(np.full(shape, 40, np.int16), (2.5, 0.9, 0.7)))
    assert np.isfinite(profile.area_cm2).all()


def test_fine_and_coarse_voxels_of_one_body_measure_alike() -> None:
    coarse = block((4, 50, 60))
    fine = np.repeat(np.repeat(np.repeat(coarse, 3, axis=0), 4, axis=1), 4, axis=2)
    one = body_profile(upright_volume(coarse, (6.0, 4.0, 4.0)))
    other = body_profile(upright_volume(fine, (2.0, 1.0, 1.0)))
    assert other.area_cm2 == pytest.approx(one.area_cm2)
    assert (other.edges_yx / 4).tolist() == one.edges_yx.tolist()

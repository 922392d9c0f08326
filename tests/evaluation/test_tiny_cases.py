"""Tiny cases with values worked out by hand; where libraries disagree, each definition has its own name."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.geometry import Comparison, compare
from evaluation.pair import MaskPair, PairState
from imaging.volumes.grid import Grid

UPRIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
BoolArray = NDArray[np.bool_]


def compared(
    found: BoolArray,
    reference: BoolArray,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    tolerances: tuple[float, ...] = (1.0,),
) -> Comparison:
    grid = Grid(shape_zyx=found.shape, origin_lps=(0.0, 0.0, 0.0), spacing_zyx_mm=spacing, axes_lps=UPRIGHT)
    return compare(MaskPair.of_arrays(found, reference, grid), tolerances)


def cube(shape: tuple[int, int, int], start: tuple[int, int, int], size: tuple[int, int, int]) -> BoolArray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))] = True
    return mask


def assert_values(comparison: Comparison, **expected: float) -> None:
    for name, value in expected.items():
        assert comparison.values[name] == pytest.approx(value, abs=1e-5), name


def test_a_twenty_voxels_of_a_line_and_two_more_ten_apart() -> None:
    reference = cube((3, 3, 40), (1, 1, 2), (1, 1, 20))
    found = reference | cube((3, 3, 40), (1, 1, 31), (1, 1, 2))
    values = compared(found, reference)
    assert_values(
        values,
        hausdorff_mm=11.0,
        hausdorff95_pooled_mm=0.0,
        hausdorff95_larger_directed_mm=9.5,  # 22 values 0 x 20, 10, 11: rank 0.95 x 21 = 19.95
        hausdorff95_mean_directed_mm=4.75,
        hausdorff95_of_two_maxima_mm=10.45,  # of 0 and 11
        hausdorff95_area_weighted_mm=10.0,
        average_surface_distance_pooled_mm=21 / 42,
        average_surface_distance_mean_of_means_mm=21 / 22 / 2,
        average_surface_distance_from_found_mm=21 / 22,
        average_surface_distance_from_reference_mm=0.0,
        dice=2 * 20 / 42,
        surface_dice_border_voxels_at_1mm=40 / 42,
    )


def test_i_a_cube_and_a_small_one_far_off() -> None:
    reference = cube((14, 14, 44), (2, 2, 2), (10, 10, 10))
    found = reference | cube((14, 14, 44), (2, 2, 27), (4, 4, 4))
    values = compared(found, reference)
    assert_values(
        values,
        hausdorff_mm=19.0,
        hausdorff95_pooled_mm=16.0,
        hausdorff95_larger_directed_mm=17.85,
        hausdorff95_mean_directed_mm=8.925,
        hausdorff95_area_weighted_mm=18.0,
        dice=2 * 1000 / 2064,
    )


def test_b_one_voxel_against_its_neighbour_on_the_next_slice() -> None:
    values = compared(cube((5, 3, 3), (1, 1, 1), (1, 1, 1)), cube((5, 3, 3), (2, 1, 1), (1, 1, 1)), (3, 1, 1))
    assert_values(
        values,
        hausdorff_mm=3.0,
        hausdorff95_pooled_mm=3.0,
        average_surface_distance_pooled_mm=3.0,
        surface_dice_border_voxels_at_1mm=0.0,
        surface_dice_area_weighted_at_1mm=0.5,  # the two voxels' faces share a plane
        average_surface_distance_area_weighted_mm=1.5,
        dice=0.0,
        centre_shift_superior_mm=-3.0,
        centre_shift_mm=3.0,
    )


@pytest.mark.parametrize(
    ("voxels", "state"),
    [((0, 8), PairState.MISSING), ((8, 0), PairState.SPURIOUS), ((0, 0), PairState.BOTH_EMPTY)],
    ids=["c missing", "c spurious", "d both empty"],
)
def test_an_empty_mask_is_a_state_and_never_a_number(voxels: tuple[int, int], state: PairState) -> None:
    full, empty = cube((4, 4, 4), (1, 1, 1), (2, 2, 2)), np.zeros((4, 4, 4), bool)
    values = compared(*(full if count else empty for count in voxels))
    assert values.state is state
    assert_values(values, volume_cm3=voxels[0] / 1000, reference_volume_cm3=voxels[1] / 1000)
    redrawn = {name for name in values.values if "path_length" in name or "slices_to_edit" in name}
    stated = {"volume_cm3", "reference_volume_cm3", "volume_difference_cm3"}
    if voxels[1]:
        stated.add("volume_relative_error_percent")
    defined = {name for name, value in values.values.items() if value is not None}
    assert defined == redrawn | stated
    assert values.values["slices_to_edit"] == (2 if any(voxels) else 0)
    assert values.values["added_path_length_pixels"] == voxels[1]


def test_e_a_shift_of_the_tolerance_is_within_it() -> None:
    """3 x 0.1 is over 0.3 in binary."""
    found, reference = cube((16, 16, 16), (4, 4, 4), (8, 8, 8)), cube((16, 16, 16), (4, 4, 7), (8, 8, 8))
    values = compared(found, reference, (0.1, 0.1, 0.1), (0.3,))
    assert_values(
        values, **{"surface_dice_border_voxels_at_0.3mm": 1.0, "surface_dice_area_weighted_at_0.3mm": 1.0}
    )
    assert values.values["slices_to_edit_at_0.3mm"] == 0


def test_f_a_full_array_against_itself() -> None:
    full = np.ones((4, 5, 6), bool)
    values = compared(full, full)
    assert_values(
        values,
        hausdorff_mm=0.0,
        average_surface_distance_pooled_mm=0.0,
        average_surface_distance_area_weighted_mm=0.0,
        dice=1.0,
        jaccard=1.0,
        surface_dice_border_voxels_at_1mm=1.0,
        surface_dice_area_weighted_at_1mm=1.0,
        slices_to_edit=0.0,
    )
    assert values.values["specificity_whole_grid"] is None  # nothing lies outside the reference
    assert values.values["specificity_joint_box"] is None


def test_g_a_cube_in_a_larger_one() -> None:
    found, reference = (
        cube((16, 16, 16), (3, 3, 3), (10, 10, 10)),
        cube((16, 16, 16), (2, 2, 2), (12, 12, 12)),
    )
    assert_values(
        compared(found, reference),
        hausdorff_mm=math.sqrt(3),
        hausdorff95_pooled_mm=math.sqrt(2),
        average_surface_distance_pooled_mm=1.04569,
        average_surface_distance_mean_of_means_mm=1.03816,
        average_surface_distance_area_weighted_mm=1.024316,
        surface_dice_border_voxels_at_1mm=0.89474,
        surface_dice_area_weighted_at_1mm=0.93137,
        dice=0.73314,
        sensitivity=1000 / 1728,
        precision=1.0,
        specificity_whole_grid=1.0,
    )


def test_h_a_cube_at_the_arrays_edge_has_surface_there() -> None:
    reference, found = np.zeros((12, 12, 12), bool), np.zeros((12, 12, 12), bool)
    reference[:6, :6, :6], found[:5, :6, :6] = True, True
    assert_values(
        compared(found, reference, (2, 1, 1)),
        hausdorff_mm=2.0,
        average_surface_distance_pooled_mm=0.32394,
        average_surface_distance_mean_of_means_mm=0.3126,
        dice=0.90909,
        volume_relative_error_percent=-100 / 6,
        centre_shift_superior_mm=-1.0,
    )


@pytest.mark.parametrize("shape", [(60, 60, 60), (30, 60, 60), (60, 30, 60)])
def test_anisotropic_spheres(shape: tuple[int, int, int]) -> None:
    """Two shifted spheres on grids of different spacing: a library once gave wrong distances on anisotropic ones."""
    axes = [np.linspace(-3, 3, n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    spacing = tuple(float(a[1] - a[0]) for a in axes)
    found, reference = (x - 0.15) ** 2 + y**2 + z**2 < 1, (x + 0.15) ** 2 + y**2 + z**2 < 1
    values = compared(found, reference, spacing)
    points = [np.argwhere(m & ~_eroded(m)) * spacing for m in (found, reference)]
    apart = np.linalg.norm(points[0][:, None] - points[1][None], axis=2)
    naive = max(apart.min(axis=1).max(), apart.min(axis=0).max())
    assert_values(values, hausdorff_mm=naive)


def _eroded(mask: BoolArray) -> BoolArray:
    padded = np.pad(mask, 1)
    core = [padded[1:-1, 1:-1, 1:-1]]
    for axis in range(3):
        core += [np.roll(padded, s, axis)[1:-1, 1:-1, 1:-1] for s in (1, -1)]
    return np.logical_and.reduce(core)

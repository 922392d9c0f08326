from dataclasses import replace

import numpy as np
import pytest

from evaluation.definitions import definitions
from evaluation.distances import border_distances
from evaluation.geometry import compare
from evaluation.pair import MaskPair, PairState
from evaluation.slices import slice_values
from evaluation.surfels import surfel_distances
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

GRID = Grid(
    shape_zyx=(6, 10, 12),
    origin_lps=(10.0, 20.0, 30.0),
    spacing_zyx_mm=(3.0, 1.0, 2.0),
    axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


def block(z: slice, y: slice, x: slice) -> Mask:
    full = np.zeros(GRID.shape_zyx, bool)
    full[z, y, x] = True
    return Mask.from_full(full)


def test_every_metric_has_a_definition_and_every_definition_a_metric() -> None:
    pair = MaskPair.of(
        block(slice(0, 3), slice(2, 8), slice(2, 8)), block(slice(1, 4), slice(2, 8), slice(1, 8)), GRID
    )
    for tolerances in ((1.0, 2.5), ()):
        comparison = compare(pair, tolerances)
        assert list(comparison.values) == [definition.name for definition in definitions(tolerances)]
        assert all(value is not None for value in comparison.values.values())


def test_no_distance_to_an_empty_mask() -> None:
    full, empty = block(slice(1, 3), slice(2, 8), slice(2, 8)), block(slice(0, 0), slice(0, 0), slice(0, 0))
    for one, other in ((full, empty), (empty, full), (empty, empty)):
        pair = MaskPair.of(one, other, GRID)
        for distances in (border_distances, surfel_distances):
            with pytest.raises(ValueError, match="distances need voxels in both masks"):
                distances(pair)


def test_what_a_person_would_redraw() -> None:
    """6 x 4 pixels on slices 1 and 2 of the reference.

    The found outline is one row off on slice 2, and on 3 too many.
    """
    reference = block(slice(1, 3), slice(2, 8), slice(2, 6)).full(GRID.shape_zyx)
    found = np.zeros(GRID.shape_zyx, bool)
    found[1, 2:8, 2:6] = True
    found[2, 3:9, 2:6] = True
    found[3, 2:8, 2:6] = True
    values = compare(MaskPair.of_arrays(found, reference, GRID), (1.0, 3.0)).values
    # Outline of 6 x 4: 16 pixels. Of slice 2's, the upper row of 4 is not found, and of the last row the inner 2.
    assert values["added_path_length_pixels"] == 4 + 2
    assert values["added_path_length_mm"] == (4 + 2) * 1.5
    assert values["added_path_length_at_1mm_pixels"] == 0  # rows are 1 mm apart
    assert values["slices_to_edit"] == 2
    assert values["slices_to_edit_at_1mm"] == 1  # slice 3, which the reference has not
    assert values["reference_path_length_mm"] == 2 * 16 * 1.5


def test_slice_by_slice() -> None:
    found = np.zeros(GRID.shape_zyx, bool)
    reference = found.copy()
    found[1:3, 2:4, 2:6] = True
    reference[2:4, 2:4, 2:8] = True
    missing = MaskPair.of_arrays(found, reference, GRID)
    rows = slice_values(missing)
    assert [(row["slice"], row["state"]) for row in rows] == [
        (1, "spurious"),
        (2, "compared"),
        (3, "missing"),
    ]
    assert rows[1]["dice"] == pytest.approx(2 * 8 / 20)
    assert rows[1]["hausdorff_mm"] == pytest.approx(4.0)  # two columns of 2 mm
    assert "dice" not in rows[0]
    assert slice_values(MaskPair.of(Mask.empty(), Mask.empty(), GRID)) == []


def test_the_place_in_the_grid_does_not_matter_but_for_specificity() -> None:
    one, other = block(slice(0, 3), slice(2, 8), slice(2, 8)), block(slice(1, 4), slice(2, 8), slice(1, 8))
    here = compare(MaskPair.of(one, other, GRID)).values
    larger = replace(GRID, shape_zyx=(20, 30, 40))
    moved = [Mask(crop_zyx=m.crop_zyx, start_zyx=tuple(s + 7 for s in m.start_zyx)) for m in (one, other)]
    there = compare(MaskPair.of(*moved, larger)).values
    assert {name for name in here if here[name] != pytest.approx(there[name])} == {
        "specificity_whole_grid",
        "false_positive_rate_whole_grid",
    }
    # Found 3 x 6 x 6 voxels, reference 3 x 6 x 7, shared 2 x 6 x 6, in a grid of 720 and a joint box of 4 x 6 x 7.
    assert here["specificity_whole_grid"] == pytest.approx((720 - 126 - (108 - 72)) / (720 - 126))
    assert here["specificity_joint_box"] == pytest.approx((4 * 6 * 7 - 126 - 36) / (4 * 6 * 7 - 126))


def test_a_loose_crop_counts_as_a_tight_one() -> None:
    mask = block(slice(1, 3), slice(2, 8), slice(2, 6))
    loose = Mask(crop_zyx=mask.full(GRID.shape_zyx), start_zyx=(0, 0, 0))
    assert MaskPair.of(loose, mask, GRID).box.shape == (4, 8, 6)
    hollow = Mask(crop_zyx=np.zeros((2, 2, 2), bool), start_zyx=(0, 0, 0))
    assert MaskPair.of(hollow, mask, GRID).state is PairState.MISSING


def test_refusals() -> None:
    mask = block(slice(1, 3), slice(2, 8), slice(2, 6))
    outside = Mask(crop_zyx=np.ones((9, 1, 1), bool), start_zyx=(0, 0, 0))
    with pytest.raises(ValueError, match="do not lie in a grid"):
        MaskPair.of(outside, mask, GRID)
    with pytest.raises(ValueError, match="does not lie on a grid"):
        MaskPair.of_arrays(np.zeros((2, 2, 2), bool), mask.full(GRID.shape_zyx), GRID)
    with pytest.raises(ValueError, match="positive number of mm"):
        compare(MaskPair.of(mask, mask, GRID), (0.0,))

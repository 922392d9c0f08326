"""Pieces, specks, holes and remarks, on masks small enough to count."""

import numpy as np
import pytest

from inference.contract import ModelStructure
from inference.postprocess import finished, kept_pieces, remarks, without_holes

ONE = ModelStructure(code="One")
SEVERAL = ModelStructure(code="Several", single_piece=False, smallest_piece_cc=0.004)


def pieces() -> np.ndarray:
    mask = np.zeros((6, 9, 9), bool)
    mask[0:2, 0:3, 0:3] = True
    mask[2, 3, 3] = True  # touches the first by a corner
    mask[4, 5:7, 5:7] = True
    mask[0, 8, 8] = True
    return mask


def test_the_largest_piece_is_kept_with_what_touches_it_by_a_corner() -> None:
    kept = kept_pieces(pieces(), ONE, voxel_mm3=1.0)
    assert kept.sum() == 19
    assert kept[2, 3, 3]


def test_specks_go_and_other_pieces_stay_by_their_volume_in_cc() -> None:
    assert kept_pieces(pieces(), SEVERAL, voxel_mm3=1.0).sum() == 23
    assert kept_pieces(pieces(), SEVERAL, voxel_mm3=4.0).sum() == 24
    assert not kept_pieces(pieces(), SEVERAL, voxel_mm3=0.001).any()


def test_a_piece_of_just_the_smallest_volume_stays() -> None:
    exact = ModelStructure(code="Several", single_piece=False, smallest_piece_cc=0.001)
    assert kept_pieces(pieces(), exact, voxel_mm3=0.25).sum() == 23, "four voxels of 0.25 mm3 are 0.001 cc"
    assert kept_pieces(pieces(), exact, voxel_mm3=0.249).sum() == 19


def test_an_empty_mask_stays_empty() -> None:
    assert not finished(np.zeros((2, 3, 4), bool), ONE, voxel_mm3=1.0).any()


def test_holes_are_filled_slice_by_slice_and_bays_are_not() -> None:
    mask = np.zeros((2, 5, 5), bool)
    mask[0, 1:4, 1:4] = True
    mask[0, 2, 2] = False
    mask[1, 1:4, 1:4] = True
    mask[1, 2, 2:4] = False
    filled = without_holes(mask)
    assert filled[0, 2, 2]
    assert np.array_equal(filled[1], mask[1])
    keep = ModelStructure(code="Ring", fill_holes=False)
    assert np.array_equal(finished(mask, keep, voxel_mm3=1.0), mask)


@pytest.mark.parametrize(
    ("volume_cc", "first", "last", "expected"),
    [
        (0.0, True, False, ("Cord: not found",)),
        (20.0, False, False, ()),
        (20.0, True, True, ("Cord: reaches the lowest and the highest slice, the scan may cut it",)),
        (3.0, False, False, ("Cord: 3.0 cc, usual are 8 to 60 cc",)),
        (60.5, False, False, ("Cord: 60.5 cc, usual are 8 to 60 cc",)),
        (8.0, False, False, ()),
        (60.0, False, False, ()),
        (20.0, True, False, ("Cord: reaches the lowest slice, the scan may cut it",)),
        (20.0, False, True, ("Cord: reaches the highest slice, the scan may cut it",)),
    ],
)
def test_remarks(volume_cc: float, first: bool, last: bool, expected: tuple[str, ...]) -> None:
    structure = ModelStructure(code="Cord", usual_cc=(8, 60))
    assert remarks(structure, volume_cc=volume_cc, touches_first=first, touches_last=last) == expected

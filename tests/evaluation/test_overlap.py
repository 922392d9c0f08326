import numpy as np
import pytest

from evaluation.overlap import dice


def row(text: str) -> np.ndarray:
    return np.array([character == "#" for character in text])


def test_dice_is_twice_the_shared_voxels_over_both() -> None:
    assert dice(row("###.."), row(".####")) == pytest.approx(2 * 2 / (3 + 4))


def test_dice_of_one_empty_mask_is_zero() -> None:
    assert dice(row("....."), row("..#..")) == 0.0


def test_two_empty_masks_and_two_grids_are_refused() -> None:
    with pytest.raises(ValueError, match="two empty masks"):
        dice(row("..."), row("..."))
    with pytest.raises(ValueError, match="one grid"):
        dice(row("..."), row("...."))

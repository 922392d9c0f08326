"""The cervical CTV study's loss, by hand."""

import math

import pytest
import torch

from training.losses.cervical_ctv import cross_entropy_and_dice, deep_supervision
from training.losses.drawn import labels_of_size

DRAWN = torch.tensor([[True]])
CORNER = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])


def test_a_tenth_cross_entropy_and_nine_tenths_dice() -> None:
    """p = 0.5: cross entropy ln 2, Dice 2 * 0.5 / (1 + 2) = 1/3."""
    expected = 0.1 * math.log(2) + 0.9 * (1 - 1 / 3)
    assert cross_entropy_and_dice(torch.zeros(1, 1, 2, 2), CORNER, DRAWN).item() == pytest.approx(expected)


def test_an_empty_slice_has_the_dice_term_one() -> None:
    found = cross_entropy_and_dice(torch.full((1, 1, 2, 2), -20.0), torch.zeros(1, 1, 2, 2), DRAWN)
    assert found.item() == pytest.approx(0.9, abs=1e-4)


def test_five_scales_weigh_a_fifth_each_at_their_own_size() -> None:
    labels = torch.zeros(1, 1, 16, 16)
    labels[..., :8, :8] = 1.0
    outputs = [torch.zeros(1, 1, n, n) for n in (16, 8, 4, 2, 1)]
    quarter = 0.1 * math.log(2) + 0.9 * (
        1 - 0.25 / (0.25 + 0.5)
    )  # a quarter of the pixels at the first four sizes
    nothing = 0.1 * math.log(2) + 0.9  # a quarter of the only pixel is less than half of it
    assert deep_supervision(outputs, labels, DRAWN).item() == pytest.approx(
        (4 * quarter + nothing) / 5, rel=1e-4
    )


def test_full_size_compares_every_output_with_the_labels_themselves() -> None:
    labels = torch.zeros(1, 1, 16, 16)
    labels[..., :8, :8] = 1.0
    outputs = [torch.zeros(1, 1, n, n) for n in (16, 8, 4, 2, 1)]
    quarter = 0.1 * math.log(2) + 0.9 * (1 - 0.25 / (0.25 + 0.5))
    found = deep_supervision(outputs, labels, DRAWN, scales="full_size")
    assert found.item() == pytest.approx(quarter, rel=1e-4)


def test_m_nets_own_weights() -> None:
    labels = torch.zeros(1, 1, 2, 2)
    outputs = [torch.full((1, 1, 2, 2), logit) for logit in (0.0, 5.0, 5.0, 5.0, 5.0)]
    alone = [cross_entropy_and_dice(o, labels, DRAWN).item() for o in outputs]
    found = deep_supervision(outputs, labels, DRAWN, weights=(0.6, 0.1, 0.1, 0.1, 0.1))
    assert found.item() == pytest.approx(0.6 * alone[0] + 0.4 * alone[1])


def test_weights_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="2 outputs"):
        deep_supervision([CORNER, CORNER], CORNER, DRAWN, weights=(1.0,))


def test_a_smaller_label_holds_pixels_of_half_their_area() -> None:
    labels = torch.zeros(1, 1, 4, 4)
    labels[..., 0, :2] = 1.0  # half of the first pixel
    labels[..., 0, 3] = 1.0  # a quarter of the second
    assert labels_of_size(labels, (2, 2)).flatten().tolist() == [1, 0, 0, 0]

"""The losses of SOARS, by hand."""

import math

import pytest
import torch

from training.losses.soars import (
    heat_map_loss,
    sigmoid_dice_and_cross_entropy,
    softmax_dice_and_cross_entropy,
)
from training.losses.softmax import label_map, log_probabilities

LABELS = torch.tensor([[[[[1.0, 0.0, 0.0, 0.0]]], [[[0.0, 1.0, 0.0, 0.0]]]]])  # (1, 2, 1, 1, 4)
DRAWN = torch.tensor([[True, True]])


def test_softmax_dice_and_cross_entropy_of_an_undecided_network() -> None:
    """p = 1/3: cross entropy ln 3; Dice of each 2 / 3 / (4 / 3 + 1) = 2/7."""
    found = softmax_dice_and_cross_entropy(torch.zeros(1, 3, 1, 1, 4), LABELS, DRAWN)
    assert found.item() == pytest.approx(math.log(3) + 1 - 2 / 7, rel=1e-4)


def test_a_structure_that_is_not_there_has_no_dice() -> None:
    labels = LABELS.clone()
    labels[:, 1] = 0
    found = softmax_dice_and_cross_entropy(torch.zeros(1, 3, 1, 1, 4), labels, DRAWN)
    assert found.item() == pytest.approx(math.log(3) + 1 - 2 / 7, rel=1e-4)


def test_undrawn_structures_are_merged_with_the_background() -> None:
    drawn = torch.tensor([[True, False]])
    p = torch.exp(log_probabilities(torch.zeros(1, 3, 1, 1, 4), drawn))
    assert p[0, :, 0, 0, 0].tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert label_map(LABELS, drawn).flatten().tolist() == [1, 0, 0, 0]


def test_the_merged_loss_can_be_followed_downhill() -> None:
    logits = torch.zeros(1, 3, 1, 1, 4, requires_grad=True)
    softmax_dice_and_cross_entropy(logits, LABELS, torch.tensor([[True, False]])).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 1, 0, 0, 0] < 0


def test_sigmoid_dice_and_cross_entropy() -> None:
    """p = 0.5: cross entropy ln 2; Dice 2 * 0.5 / (2 + 1) = 1/3."""
    found = sigmoid_dice_and_cross_entropy(torch.zeros(1, 2, 1, 1, 4), LABELS, DRAWN)
    assert found.item() == pytest.approx(math.log(2) + 2 / 3, rel=1e-4)


def test_heat_maps_by_squared_error() -> None:
    truth = torch.tensor([[[[[1.0, 0.5]]], [[[9.0, 9.0]]]]])
    found = heat_map_loss(torch.zeros_like(truth), truth, torch.tensor([[True, False]]))
    assert found.item() == pytest.approx((1 + 0.25) / 2)

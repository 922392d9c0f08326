"""Class weights and class-weighted cross entropy, by hand."""

import math

import pytest
import torch

from training.losses.rectal import class_weights, weighted_cross_entropy, weighted_softmax_cross_entropy

LABELS = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])  # two structures on three voxels


def test_weights_are_inverse_square_roots_clipped_to_1_and_20() -> None:
    assert class_weights([0.25, 0.01, 1.0, 1e-6, 0.0]) == pytest.approx((2.0, 10.0, 1.0, 20.0, 20.0))
    with pytest.raises(ValueError, match=r"0\.\.1"):
        class_weights([1.5])


def test_softmax_weighs_each_voxel_by_its_class() -> None:
    """p = 1/3 throughout: every voxel costs ln 3, whatever the weights."""
    logits = torch.zeros(1, 3, 3)
    weights = torch.tensor([1.0, 2.0, 4.0])
    drawn = torch.tensor([[True, True]])
    assert weighted_softmax_cross_entropy(logits, LABELS, drawn, weights).item() == pytest.approx(math.log(3))
    logits[0, 0, 2] = 5.0  # the background voxel is nearly right
    cost = math.log(math.exp(5) + 2) - 5
    expected = (1 * cost + (2 + 4) * math.log(3)) / 7
    found = weighted_softmax_cross_entropy(logits, LABELS, drawn, weights)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_structure_that_nobody_drew_counts_as_background() -> None:
    logits = torch.zeros(1, 3, 3)
    drawn = torch.tensor([[True, False]])
    found = weighted_softmax_cross_entropy(logits, LABELS, drawn, torch.ones(3))
    assert found.item() == pytest.approx((math.log(3) + 2 * math.log(1.5)) / 3)


def test_sigmoids_weigh_the_structures_own_voxels() -> None:
    found = weighted_cross_entropy(
        torch.zeros(1, 2, 3), LABELS, torch.tensor([[True, True]]), torch.tensor([4.0, 1.0])
    )
    assert found.item() == pytest.approx(math.log(2) * ((4 + 2) / 3 + 1) / 2)

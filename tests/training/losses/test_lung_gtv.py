"""Equation 1 of the lung GTV study, by hand."""

import math

import pytest
import torch

from training.losses.lung_gtv import WeightFrom, weighted_cross_entropy

DRAWN = torch.tensor([[True]])


def test_one_positive_of_four_at_a_half() -> None:
    """All predictions 0.5: S = 2, w = (4 - 2) / 2 = 1, H = ln 2."""
    labels = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert weighted_cross_entropy(torch.zeros_like(labels), labels, DRAWN).item() == pytest.approx(
        math.log(2)
    )


@pytest.mark.parametrize(("weight_from", "weight"), [("prediction", (4 - 1.6) / 1.6), ("truth", 3.0)])
def test_the_two_readings_of_the_weight(weight_from: WeightFrom, weight: float) -> None:
    """p = 0.4 everywhere: S = 1.6 as printed; one positive of four by the truth."""
    labels = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    logits = torch.full_like(labels, math.log(0.4 / 0.6))
    expected = -(weight * math.log(0.4) + 3 * math.log(0.6)) / 4
    found = weighted_cross_entropy(logits, labels, DRAWN, weight_from=weight_from)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_no_gradient_flows_through_the_weight() -> None:
    labels = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    logits = torch.zeros_like(labels, requires_grad=True)
    weighted_cross_entropy(logits, labels, DRAWN).backward()
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([-0.125, 0.125, 0.125, 0.125])


def test_a_prediction_of_nothing_has_a_finite_weight() -> None:
    labels = torch.ones(1, 1, 2, 2)
    loss = weighted_cross_entropy(torch.full_like(labels, -10.0), labels, DRAWN)
    assert loss.item() == pytest.approx(3 * 10, rel=1e-3)


def test_what_nobody_drew_is_silent() -> None:
    labels = torch.zeros(1, 2, 2, 2)
    logits = torch.stack([torch.zeros(2, 2), torch.full((2, 2), 9.0)])[None]
    both = weighted_cross_entropy(logits, labels, torch.tensor([[True, False]]))
    assert both.item() == pytest.approx(math.log(2))
    assert weighted_cross_entropy(logits, labels, torch.tensor([[False, False]])).item() == 0

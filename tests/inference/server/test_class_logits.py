"""Softmax classes as log odds of structures."""

import math

import pytest
import torch

from inference.server.class_logits import structure_logits


def test_log_odds_of_the_softmax_probability() -> None:
    logits = torch.log(torch.tensor([0.2, 0.7, 0.1])).reshape(1, 3, 1)
    found = structure_logits(logits + 3.0)
    assert found.flatten().tolist() == pytest.approx([math.log(0.7 / 0.3), math.log(0.1 / 0.9)], rel=1e-5)


def test_certainty_stays_finite() -> None:
    assert torch.isfinite(structure_logits(torch.tensor([-90.0, 90.0]).reshape(1, 2, 1))).all()

"""The losses that a recipe may name: the only way from a name to a function."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch

from training.loop import Output
from training.loss import masked_bce_dice
from training.losses.cervical_ctv import deep_supervision
from training.losses.lung_gtv import weighted_cross_entropy as weighted_by
from training.losses.rectal import weighted_cross_entropy
from training.losses.soars import softmax_dice_and_cross_entropy

LossName = Literal[
    "cross_entropy_and_dice",
    "cross_entropy",
    "weighted_by_prediction",
    "weighted_by_truth",
    "deep_supervision",
    "deep_supervision_mean_first",
    "softmax_dice_and_cross_entropy",
]
Loss = Callable[[Output, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

_MEAN_FIRST = (0.6, 0.1, 0.1, 0.1, 0.1)  # M-Net's authors: its mean, then each scale


def _single(loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]) -> Loss:
    """A loss of one output that has no weights."""

    def of(output: Output, labels: torch.Tensor, drawn: torch.Tensor, _weights: torch.Tensor) -> torch.Tensor:
        return loss(_one(output), labels, drawn)

    return of


def _scales(weights: tuple[float, ...] | None) -> Loss:
    """A loss of the outputs of several scales, finest first."""

    def of(output: Output, labels: torch.Tensor, drawn: torch.Tensor, _weights: torch.Tensor) -> torch.Tensor:
        outputs = output if isinstance(output, tuple) else (output,)
        return deep_supervision(outputs, labels, drawn, weights=weights)

    return of


def _weighted(
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> Loss:
    """A loss of one output with positive weights (structure,)."""

    def of(output: Output, labels: torch.Tensor, drawn: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        return loss(_one(output), labels, drawn, weights)

    return of


LOSSES: Mapping[LossName, Loss] = {
    "cross_entropy_and_dice": _weighted(masked_bce_dice),
    "cross_entropy": _weighted(weighted_cross_entropy),
    "weighted_by_prediction": _single(partial(weighted_by, weight_from="prediction")),
    "weighted_by_truth": _single(partial(weighted_by, weight_from="truth")),
    "deep_supervision": _scales(None),
    "deep_supervision_mean_first": _scales(_MEAN_FIRST),
    "softmax_dice_and_cross_entropy": _single(softmax_dice_and_cross_entropy),
}


def _one(output: Output) -> torch.Tensor:
    """The output of a network with one; ValueError for a network with several scales."""
    if isinstance(output, tuple):
        raise ValueError(f"this network answers at {len(output)} scales: loss.name is deep_supervision")
    return output

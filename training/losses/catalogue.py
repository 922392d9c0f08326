"""The losses that a recipe may name: the only mapping from a name to a function."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import nn

from inference.server.networks.uanet import Uanet
from training.loop import Batch, Output, in_float32
from training.loss import masked_bce_dice
from training.losses.cervical_ctv import deep_supervision
from training.losses.lung_gtv import weighted_cross_entropy as weighted_by
from training.losses.rectal import weighted_cross_entropy
from training.losses.soars import (
    heat_map_loss,
    sigmoid_dice_and_cross_entropy,
    softmax_dice_and_cross_entropy,
)
from training.losses.uanet import uanet_loss

LossName = Literal[
    "cross_entropy_and_dice",
    "cross_entropy",
    "weighted_by_prediction",
    "weighted_by_truth",
    "deep_supervision",
    "deep_supervision_mean_first",
    "softmax_dice_and_cross_entropy",
    "sigmoid_dice_and_cross_entropy",
    "heat_map",
    "uanet",
]
Loss = Callable[[nn.Module, Batch, torch.Tensor, float], torch.Tensor]  # network, batch, weights, progress
_OfOutput = Callable[[Output, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

_MEAN_FIRST = (0.6, 0.1, 0.1, 0.1, 0.1)  # M-Net's authors: its mean, then each scale
_BOXES_FROM, _MASKS_FROM = 40 / 200, 45 / 200  # UaNet's authors: epochs of 200


def _asked(loss: _OfOutput) -> Loss:
    """Turn a loss of an output into one that runs the network on the batch."""

    def of(network: nn.Module, batch: Batch, weights: torch.Tensor, _progress: float) -> torch.Tensor:
        return loss(in_float32(network(batch.inputs)), batch.labels, batch.drawn, weights)

    return of


def _single(loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]) -> Loss:
    """Turn a loss without weights into one for networks with a single output."""
    return _asked(lambda output, labels, drawn, _weights: loss(_one(output), labels, drawn))


def _scales(shares: tuple[float, ...] | None) -> Loss:
    """Return a loss over outputs at several scales, finest first."""

    def of(output: Output, labels: torch.Tensor, drawn: torch.Tensor, _weights: torch.Tensor) -> torch.Tensor:
        outputs = output if isinstance(output, tuple) else (output,)
        return deep_supervision(outputs, labels, drawn, weights=shares)

    return _asked(of)


def _weighted(
    loss: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
) -> Loss:
    """Turn a loss with positive weights (structure,) into one for networks with a single output."""
    return _asked(lambda output, labels, drawn, weights: loss(_one(output), labels, drawn, weights))


def _uanet(network: nn.Module, batch: Batch, _weights: torch.Tensor, progress: float) -> torch.Tensor:
    """Return the loss of UaNet's parts in its authors' order: first proposals, then boxes too, then masks too.

    Raises ValueError for any other network.
    """
    if not isinstance(network, Uanet):
        raise ValueError("the loss uanet is for the architecture uanet")
    boxes, masks = progress >= _BOXES_FROM, progress >= _MASKS_FROM
    found = [
        uanet_loss(network, *one, boxes=boxes, masks=masks)
        for one in zip(*(torch.split(of, 1) for of in (batch.inputs, batch.labels, batch.drawn)), strict=True)
    ]
    return torch.stack(found).mean()


LOSSES: Mapping[LossName, Loss] = {
    "cross_entropy_and_dice": _weighted(masked_bce_dice),
    "cross_entropy": _weighted(weighted_cross_entropy),
    "weighted_by_prediction": _single(partial(weighted_by, weight_from="prediction")),
    "weighted_by_truth": _single(partial(weighted_by, weight_from="truth")),
    "deep_supervision": _scales(None),
    "deep_supervision_mean_first": _scales(_MEAN_FIRST),
    "softmax_dice_and_cross_entropy": _weighted(softmax_dice_and_cross_entropy),
    "sigmoid_dice_and_cross_entropy": _single(sigmoid_dice_and_cross_entropy),
    "heat_map": _single(heat_map_loss),
    "uanet": _uanet,
}


def _one(output: Output) -> torch.Tensor:
    """Return the output of a network with a single one; ValueError for a network with several scales."""
    if isinstance(output, tuple):
        raise ValueError(f"this network answers at {len(output)} scales: loss.name is deep_supervision")
    return output

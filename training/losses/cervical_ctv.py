"""The cervical CTV study's loss: cross entropy and Dice at each scale, their mean over the scales."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

from inference.server.networks.convolutions import resized
from training.losses.drawn import labels_of_size, mean_over_drawn, spatial_axes

ALPHA, BETA = 0.1, 0.9
_EPSILON = 1e-6  # for a slice where both truth and prediction are empty

Scales = Literal["own_size", "full_size"]


def cross_entropy_and_dice(logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Return 0.1 x mean cross entropy over the pixels + 0.9 x (1 - 2 sum(y p) / sum(y + p)), slice by slice.

    logits, labels: (batch, structure, y, x); drawn: (batch, structure). As printed, without smoothing: a slice
    without the structure has a Dice term of 1 whatever is predicted.
    """
    axes = spatial_axes(labels)
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(axes)
    p = torch.sigmoid(logits)
    dice = 2 * (labels * p).sum(axes) / ((labels + p).sum(axes) + _EPSILON)
    return mean_over_drawn(ALPHA * entropy + BETA * (1 - dice), drawn)


def deep_supervision(
    outputs: Sequence[torch.Tensor],
    labels: torch.Tensor,
    drawn: torch.Tensor,
    *,
    weights: Sequence[float] | None = None,
    scales: Scales = "own_size",
) -> torch.Tensor:
    """Return the weighted sum over the outputs' losses; equal weights that sum to 1 unless given ("take their mean").

    Each output is compared at its own size, with labels averaged down; ``scales="full_size"`` brings the logits to the
    labels' size instead. M-Net's authors weight the mean with 0.6 and each of the four scales with 0.1.
    """
    shares = [1 / len(outputs)] * len(outputs) if weights is None else weights
    if len(shares) != len(outputs):
        raise ValueError(f"{len(outputs)} outputs need as many weights, not {len(shares)}")
    size = (labels.shape[-2], labels.shape[-1])
    total = labels.new_zeros(())
    for share, logits in zip(shares, outputs, strict=True):
        at = resized(logits, size) if scales == "full_size" else logits
        truth = labels_of_size(labels, (at.shape[-2], at.shape[-1]))
        total = total + share * cross_entropy_and_dice(at, truth, drawn)
    return total

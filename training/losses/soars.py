"""The losses of SOARS: Dice and cross entropy for its branches, squared error for its heat maps."""

import torch
from torch.nn import functional

from training.losses.drawn import mean_over_drawn, spatial_axes
from training.losses.softmax import label_map, log_probabilities

_SMOOTH = 1e-5


def softmax_dice_and_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return cross entropy over background and structures, plus 1 - the mean soft Dice of the structures present.

    logits: (batch, 1 + structure, z, y, x); labels: (batch, structure, z, y, x); drawn: (batch, structure). The Dice
    runs over the whole batch, as nnU-Net's batch Dice; a structure absent from it has none. ``weights``
    (structure,): the weight of a structure's voxels in the cross entropy; background has 1.
    """
    log_p = log_probabilities(logits, drawn)
    truth = label_map(labels, drawn)
    of_class = None if weights is None else torch.cat([weights.new_ones(1), weights]).to(log_p.dtype)
    entropy = functional.nll_loss(log_p, truth, weight=of_class)
    classes = torch.arange(1, logits.shape[1], device=logits.device)
    one_hot = (truth[:, None] == classes.reshape(1, -1, *(1 for _ in truth.shape[1:]))).to(log_p.dtype)
    p = torch.exp(log_p[:, 1:])
    axes = (0, *spatial_axes(labels))
    dice = (2 * (p * one_hot).sum(axes) + _SMOOTH) / (p.sum(axes) + one_hot.sum(axes) + _SMOOTH)
    present = (one_hot.sum(axes) > 0).to(dice.dtype)
    return entropy + ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def sigmoid_dice_and_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor
) -> torch.Tensor:
    """Return binary cross entropy plus, where present, 1 - soft Dice, per structure: for volumes of interest."""
    axes = spatial_axes(labels)
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(axes)
    p = torch.sigmoid(logits)
    dice = (2 * (p * labels).sum(axes) + _SMOOTH) / (p.sum(axes) + labels.sum(axes) + _SMOOTH)
    present = labels.sum(axes) > 0
    return mean_over_drawn(entropy + torch.where(present, 1 - dice, torch.zeros_like(dice)), drawn)


def heat_map_loss(heat: torch.Tensor, truth: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error (L2) of heat maps (batch, structure, z, y, x)."""
    return mean_over_drawn(((heat - truth) ** 2).mean(spatial_axes(truth)), drawn)

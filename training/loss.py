"""The loss: cross entropy and Dice a structure, silent where nobody drew the structure."""

import torch
import torch.nn.functional as F


def masked_bce_dice(
    logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, positive_weights: torch.Tensor
) -> torch.Tensor:
    """Mean over the structures that were drawn of binary cross entropy plus, where present, one minus soft Dice.

    logits, labels: (batch, structure, z, y, x); drawn: (batch, structure), bool; positive_weights: (structure,), how
    much a structure's own voxels count in its cross entropy (a thin, rarely drawn one vanishes at 1). Zero if
    nothing was drawn.
    """
    axes = (2, 3, 4)
    bce = F.binary_cross_entropy_with_logits(
        logits, labels, reduction="none", pos_weight=positive_weights[:, None, None, None]
    ).mean(axes)
    p = torch.sigmoid(logits)
    overlap = (p * labels).sum(axes)
    dice = (2 * overlap + 1) / (p.sum(axes) + labels.sum(axes) + 1)
    present = labels.sum(axes) > 0
    per_structure = 20 * bce + torch.where(present, 1 - dice, torch.zeros_like(dice))
    weights = drawn.to(logits.dtype)
    return (per_structure * weights).sum() / weights.sum().clamp(min=1)

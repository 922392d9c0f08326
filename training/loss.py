"""The default loss: cross entropy and Dice per structure, ignoring structures that were not drawn."""

import torch
import torch.nn.functional as F

_CROSS_ENTROPY = (
    20.0  # the mean over mostly background voxels is small: this brings it to the size of the Dice term
)


def masked_bce_dice(
    logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, positive_weights: torch.Tensor
) -> torch.Tensor:
    """Return 20 x cross entropy plus, where present, 1 - soft Dice: the mean over samples of drawn structures' means.

    logits, labels: (batch, structure, ...), float32; drawn: (batch, structure), bool; positive_weights: (structure,),
    the weight of a structure's own voxels in its cross entropy (a thin, rarely drawn one vanishes at 1). A sample
    in which nothing was drawn counts 0. All samples have equal weight, so that the mean over the processes of a
    distributed run is the loss of the whole batch.
    """
    axes = tuple(range(2, labels.dim()))
    weight = positive_weights.reshape(-1, *(1 for _ in axes))
    bce = F.binary_cross_entropy_with_logits(logits, labels, reduction="none", pos_weight=weight).mean(axes)
    p = torch.sigmoid(logits)
    overlap = (p * labels).sum(axes)
    dice = (2 * overlap + 1) / (p.sum(axes) + labels.sum(axes) + 1)
    present = labels.sum(axes) > 0
    per_structure = _CROSS_ENTROPY * bce + torch.where(present, 1 - dice, torch.zeros_like(dice))
    weights = drawn.to(logits.dtype)
    return ((per_structure * weights).sum(1) / weights.sum(1).clamp(min=1)).mean()

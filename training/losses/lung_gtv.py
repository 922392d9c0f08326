"""The lung GTV study's weighted cross entropy (its equation 1), as printed and as probably meant."""

from typing import Literal

import torch
from torch.nn import functional

from training.losses.drawn import mean_over_drawn, spatial_axes

WeightFrom = Literal["prediction", "truth"]


def weighted_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, *, weight_from: WeightFrom = "prediction"
) -> torch.Tensor:
    """Return -1/N sum(w y log p + (1 - y) log(1 - p)) with w = (N - S) / S over the N pixels of a slice.

    logits, labels: (batch, structure, y, x); drawn: (batch, structure). As printed, S is the sum of the prediction; no
    gradient flows through it, and it is at least 1. With ``weight_from="truth"`` it is the sum of the labels, the usual
    balance of foreground and background.
    """
    axes = spatial_axes(labels)
    seen = torch.sigmoid(logits).detach() if weight_from == "prediction" else labels
    pixels = labels[0, 0].numel()
    total = seen.sum(axes, keepdim=True).clamp(min=1.0)
    weight = (pixels - total) / total
    positive = weight * labels * functional.logsigmoid(logits)
    negative = (1 - labels) * functional.logsigmoid(-logits)
    return mean_over_drawn(-(positive + negative).mean(axes), drawn)

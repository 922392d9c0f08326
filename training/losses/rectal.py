"""The rectal study's class-weighted cross entropy: over classes as published, or per structure for serving."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from training.losses.drawn import mean_over_drawn, spatial_axes
from training.losses.softmax import label_map, log_probabilities

HIGHEST_WEIGHT = 20.0


def class_weights(fractions: Sequence[float]) -> tuple[float, ...]:
    """Return each class's weight from its fraction of training voxels: one over its square root, within 1..20.

    Raises ValueError for a fraction that is not in 0..1; a class that never occurs gets the highest weight.
    """
    if not all(0.0 <= fraction <= 1.0 for fraction in fractions):
        raise ValueError(f"fractions of voxels lie in 0..1, not {list(fractions)}")
    return tuple(min(HIGHEST_WEIGHT, max(1.0, (f or 1e-12) ** -0.5)) for f in fractions)


def weighted_softmax_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Return cross entropy over background and structures, voxels weighted by class, over the sum of weights.

    logits: (batch, 1 + structure, ...); labels: (batch, structure, ...), of which a later one wins where two overlap;
    drawn: (batch, structure): a structure that was not drawn counts as background; weights: (1 + structure,).
    """
    log_p = log_probabilities(logits, drawn)
    truth = label_map(labels, drawn)
    return functional.nll_loss(log_p, truth, weight=weights.to(log_p.dtype))


def weighted_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Return binary cross entropy per structure, own voxels weighted by ``weights`` (structure,); overlap allowed."""
    axes = spatial_axes(labels)
    positive = weights.to(logits.dtype).reshape(-1, *(1 for _ in axes))
    entropy = functional.binary_cross_entropy_with_logits(
        logits, labels, reduction="none", pos_weight=positive
    )
    return mean_over_drawn(entropy.mean(axes), drawn)

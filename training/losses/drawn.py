"""What the losses share: means over the structures that were drawn, and labels at other sizes."""

import torch
from torch.nn import functional


def mean_over_drawn(per_structure: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Losses (batch, structure) -> the mean over samples of the mean over their drawn structures.

    0 if none was drawn.
    """
    weights = drawn.to(per_structure.dtype)
    return ((per_structure * weights).sum(1) / weights.sum(1).clamp(min=1)).mean()


def spatial_axes(labels: torch.Tensor) -> tuple[int, ...]:
    """The axes behind (batch, structure)."""
    return tuple(range(2, labels.dim()))


def labels_of_size(labels: torch.Tensor, size_yx: tuple[int, int]) -> torch.Tensor:
    """Labels (batch, structure, y, x) at a smaller size: a pixel belongs where half its area or more does."""
    if tuple(labels.shape[-2:]) == size_yx:
        return labels
    return (functional.adaptive_avg_pool2d(labels, size_yx) >= 0.5).to(labels.dtype)

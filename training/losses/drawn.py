"""What losses share: means over drawn structures, and labels at other sizes."""

import torch
from torch.nn import functional


def mean_over_drawn(per_structure: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """Map losses (batch, structure) to the mean over samples of the mean over their drawn structures.

    A sample without any counts 0.
    """
    weights = drawn.to(per_structure.dtype)
    return ((per_structure * weights).sum(1) / weights.sum(1).clamp(min=1)).mean()


def spatial_axes(labels: torch.Tensor) -> tuple[int, ...]:
    """Return the axes after (batch, structure)."""
    return tuple(range(2, labels.dim()))


def labels_of_size(labels: torch.Tensor, size_yx: tuple[int, int]) -> torch.Tensor:
    """Return labels (batch, structure, y, x) at a smaller size: a pixel is set if at least half of it is."""
    if tuple(labels.shape[-2:]) == size_yx:
        return labels
    return (functional.adaptive_avg_pool2d(labels, size_yx) >= 0.5).to(labels.dtype)

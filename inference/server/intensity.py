"""Hounsfield units to network input: one channel per window, the same in training and serving."""

import torch

Window = tuple[float, float]

SOFT_TISSUE_AND_WIDE: tuple[Window, ...] = ((-160.0, 240.0), (-1000.0, 1500.0))


def window_channels(hu: torch.Tensor, windows: tuple[Window, ...]) -> torch.Tensor:
    """Map HU (..., z, y, x) to float32 channels (..., c, z, y, x), each window scaled to -1..1 and clipped."""
    channels = []
    for low, high in windows:
        scaled = (hu.to(torch.float32) - low) * (2.0 / (high - low)) - 1.0
        channels.append(scaled.clamp_(-1.0, 1.0))
    return torch.stack(channels, dim=-4)

"""Hounsfield units to 8-bit grey levels, and their normalisation by a population's mean and standard deviation."""

import torch

FULL_RANGE_HU = (-1024.0, 3071.0)  # stored values 0..4095 of a 12-bit CT


def grey_levels(hu: torch.Tensor, window_hu: tuple[float, float] = FULL_RANGE_HU) -> torch.Tensor:
    """Map HU to whole grey levels 0..255, float32: linear over the window, clipped beyond it.

    The lung GTV study states "4096-level grayscale images into 255-level ones" and no window: the default is the linear
    map of the whole range.
    """
    low, high = window_hu
    return torch.round((hu.to(torch.float32) - low) * (255.0 / (high - low))).clamp_(0.0, 255.0)


def normalised(grey: torch.Tensor, mean: tuple[float, ...], sd: tuple[float, ...]) -> torch.Tensor:
    """Map grey levels (batch, slice, y, x) to network input (batch, slice * channel, y, x): (grey - mean) / sd.

    One mean and sd: one channel per slice. Three: each slice three times in sequence, as a colour image of equal
    channels.
    """
    means, sds = (grey.new_tensor(values).reshape(1, 1, -1, 1, 1) for values in (mean, sd))
    return ((grey[:, :, None] - means) / sds).flatten(1, 2)

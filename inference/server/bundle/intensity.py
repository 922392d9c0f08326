"""Intensity steps of a bundle, with the arithmetic of MONAI's transforms (float32; x is channel, x, y, z)."""

import numpy as np
import torch

from inference.contract.bundle import (
    Normalise,
    ScalePercentiles,
    ScaleRange,
    ScaleWhole,
    Threshold,
)

IntensityStep = Normalise | ScalePercentiles | ScaleRange | ScaleWhole | Threshold
_MOST_SAMPLES = 1_000_000
"""Up to this many values MONAI computes percentiles with torch, for more with numpy."""


def scaled(x: torch.Tensor, step: IntensityStep) -> torch.Tensor:
    """Return the values after one step."""
    if isinstance(step, ScaleRange):
        return _range(x, step)
    if isinstance(step, ScalePercentiles):
        return _percentiles(x, step)
    if isinstance(step, ScaleWhole):
        return _whole(x, step)
    if isinstance(step, Threshold):
        kept = x > step.threshold if step.above else x < step.threshold
        return torch.where(kept, x, torch.full_like(x, step.other))
    return _normalised(x, step)


def _range(x: torch.Tensor, step: ScaleRange) -> torch.Tensor:
    if step.a_max == step.a_min:
        return x - step.a_min if step.b_min is None else x - step.a_min + step.b_min
    x = (x - step.a_min) / (step.a_max - step.a_min)
    if step.b_min is not None and step.b_max is not None:
        x = x * (step.b_max - step.b_min) + step.b_min
    return x.clamp(step.b_min, step.b_max) if step.clip else x


def _percentiles(x: torch.Tensor, step: ScalePercentiles) -> torch.Tensor:
    low, high = (_percentile(x, share) for share in (step.lower, step.upper))
    return _range(
        x,
        ScaleRange(
            kind="scale_range", a_min=low, a_max=high, b_min=step.b_min, b_max=step.b_max, clip=step.clip
        ),
    )


def _percentile(x: torch.Tensor, share: float) -> float:
    if x.numel() > _MOST_SAMPLES:
        return float(np.percentile(x.numpy(), share))
    return float(torch.quantile(x.flatten(), share / 100.0))


def _whole(x: torch.Tensor, step: ScaleWhole) -> torch.Tensor:
    low, high = x.min(), x.max()
    if low == high:
        return x * step.lowest
    return (x - low) / (high - low) * (step.highest - step.lowest) + step.lowest


def _normalised(x: torch.Tensor, step: Normalise) -> torch.Tensor:
    counted = x != 0 if step.nonzero else torch.ones_like(x, dtype=torch.bool)
    if not counted.any():
        return x
    chosen = x[counted]
    mean = chosen.mean() if step.subtrahend is None else torch.tensor(step.subtrahend)
    sd = chosen.std(unbiased=False) if step.divisor is None else torch.tensor(step.divisor)
    sd = torch.tensor(1.0) if float(sd) == 0.0 else sd
    result = x.clone()
    result[counted] = (chosen - mean) / sd
    return result

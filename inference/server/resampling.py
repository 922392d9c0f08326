"""A CT resampled to a model's voxels and back, with voxel centres exactly in place.

Both grids share the outer edge of their first voxel. With ``ratio`` = model voxel / CT voxel, the centre of model
voxel j lies at CT index (j + 0.5) * ratio - 0.5. Every axis is a small matrix, so a volume is resampled slice by
slice, by matrix products.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

Axes = tuple["Axis", "Axis", "Axis"]
Range = tuple[float, float]

HU_RANGE: Range = (-1000.0, 3095.0)
_SLICES_AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a CT and the model's voxels along it."""

    length: int
    ratio: float

    @classmethod
    def fitted(cls, length: int, spacing_mm: float, *, accepted_mm: Range, target_mm: float) -> "Axis":
        """Lay the model's voxels along an axis: an accepted spacing is kept, any other becomes the target."""
        inside = accepted_mm[0] <= spacing_mm <= accepted_mm[1]
        return cls(length=length, ratio=1.0 if inside else target_mm / spacing_mm)

    @property
    def model_length(self) -> int:
        """The number of model voxels that cover the axis, to within half a voxel; at least 1."""
        return max(1, round(self.length / self.ratio))

    def to_model(self) -> torch.Tensor:
        """Return the weights (model_length, length): area means where the model's voxels are larger, else linear."""
        if self.ratio <= 1.0:
            centres = (torch.arange(self.model_length, dtype=torch.float64) + 0.5) * self.ratio - 0.5
            return _linear(centres, self.length)
        low = torch.arange(self.model_length, dtype=torch.float64)[:, None] * self.ratio
        voxel = torch.arange(self.length, dtype=torch.float64)[None, :]
        covered = torch.minimum(low + self.ratio, voxel + 1) - torch.maximum(low, voxel)
        weights = covered.clamp(min=0.0)
        return (weights / weights.sum(dim=1, keepdim=True)).to(torch.float32)

    def reached(self, first: int, stop: int) -> tuple[int, int]:
        """Return the CT indices [first, stop) whose interpolation touches one of the model voxels [first, stop)."""
        low = (first - 1 + 0.5) * self.ratio - 0.5
        high = (stop + 0.5) * self.ratio - 0.5
        begin = 0 if first == 0 else max(0, math.floor(low) + 1)
        end = self.length if stop >= self.model_length else min(self.length, math.ceil(high))
        return begin, max(begin, end)

    def from_model(self, first: int, stop: int, *, model_first: int, model_stop: int) -> torch.Tensor:
        """Return linear weights (stop - first, model_stop - model_first) of CT voxels over a range of model voxels.

        Beyond the centres of the range's outermost voxels, their values are repeated.
        """
        centres = (torch.arange(first, stop, dtype=torch.float64) + 0.5) / self.ratio - 0.5
        return _linear(centres - model_first, model_stop - model_first)


def to_model_voxels(hu: torch.Tensor, axes: Axes) -> torch.Tensor:
    """Map HU int16 (z, y, x) of the CT to float32 (z, y, x) on the model's voxels, clipped to ``HU_RANGE``."""
    along_z, along_y, along_x = (axis.to_model() for axis in axes)
    if all(axis.ratio == 1.0 for axis in axes):
        return hu.to(torch.float32).clamp_(*HU_RANGE)
    planes = torch.empty((axes[0].length, axes[1].model_length, axes[2].model_length))
    for slab in _slabs(len(planes)):
        ct = hu[slab].to(torch.float32).clamp_(*HU_RANGE)
        planes[slab] = along_y @ (ct @ along_x.T)
    if axes[0].ratio == 1.0:
        return planes
    return (along_z @ planes.flatten(1)).reshape(-1, *planes.shape[1:])


def interpolated_slabs(
    values: torch.Tensor, weights_zyx: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield values (z, y, x), given on model voxels, at the CT voxels of the weights, a few slices at a time."""
    along_z, along_y, along_x = weights_zyx
    for slab in _slabs(len(along_z)):
        planes = (along_z[slab] @ values.flatten(1)).reshape(-1, *values.shape[1:])
        yield slab, along_y @ (planes @ along_x.T)


def _slabs(length: int) -> Iterator[slice]:
    for begin in range(0, length, _SLICES_AT_ONCE):
        yield slice(begin, min(begin + _SLICES_AT_ONCE, length))


def _linear(centres: torch.Tensor, length: int) -> torch.Tensor:
    places = centres.clamp(0, length - 1)
    below = places.floor().clamp(max=max(length - 2, 0)).to(torch.int64)
    part = (places - below).to(torch.float32)
    weights = torch.zeros((len(centres), length))
    rows = torch.arange(len(centres))
    weights[rows, below] += 1 - part
    weights[rows, (below + 1).clamp(max=length - 1)] += part
    return weights

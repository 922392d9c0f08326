"""Spatial steps of a bundle and their inverses: orientation, spacing, crop; arrays (channel, x, y, z).

The inverses bring an answer back step by step, as MONAI's Invertd does, to the image's own voxels.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from inference.contract.bundle import CropForeground, Orientation, Spacing

Sizes = tuple[float, float, float]


class Back(Protocol):
    """The inverse of one step."""

    def __call__(self, answer: torch.Tensor, *, nearest: bool) -> torch.Tensor:
        """Bring an answer (channel, x, y, z) back, by the nearest voxel or linearly."""
        ...


CANONICAL = "LPS"
"""The directions along which x, y and z of the node's arrays grow."""
_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}
_SAME_MM = 1e-3  # MONAI's AFFINE_TOL


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An array (channel, x, y, z) with the directions of its axes and its voxel sizes in mm."""

    values: torch.Tensor
    axes: str
    spacing_mm: Sizes


def turned(image: Placed, step: Orientation) -> tuple[Placed, Back]:
    """Flip and transpose an image to the wanted directions, without changing values; return the inverse too."""
    order, flipped = [], []
    for letter in step.axes:
        here = image.axes.find(letter)
        order.append(here if here >= 0 else image.axes.index(_OPPOSITE[letter]))
        flipped.append(here < 0)
    flips = [axis + 1 for axis, back in enumerate(flipped) if back]
    values = image.values.permute(0, *(axis + 1 for axis in order)).flip(flips).contiguous()
    sizes = [image.spacing_mm[axis] for axis in order]
    inverse = [order.index(axis) + 1 for axis in range(3)]

    def back(answer: torch.Tensor, *, nearest: bool) -> torch.Tensor:  # noqa: ARG001 - of the protocol
        return answer.flip(flips).permute(0, *inverse).contiguous()

    return Placed(values=values, axes=step.axes, spacing_mm=(sizes[0], sizes[1], sizes[2])), back


def resampled(image: Placed, step: Spacing) -> tuple[Placed, Back]:
    """Resample an image to other voxels; return the inverse too.

    The centre of the first voxel stays in place; beyond the outermost centres, values are repeated.
    """
    shape = tuple(int(n) for n in image.values.shape[1:])
    wanted = tuple(
        own if asked <= 0 or abs(own - asked) <= _SAME_MM else asked
        for own, asked in zip(image.spacing_mm, step.mm, strict=True)
    )
    ratios = tuple(new / own for new, own in zip(wanted, image.spacing_mm, strict=True))
    target = tuple(int(np.round((n - 1) / ratio + 1.0)) for n, ratio in zip(shape, ratios, strict=True))
    values = sampled(image.values, target, ratios, nearest=step.interpolation == "nearest")

    def back(answer: torch.Tensor, *, nearest: bool) -> torch.Tensor:
        return sampled(answer, shape, tuple(1.0 / ratio for ratio in ratios), nearest=nearest)

    return Placed(values=values, axes=image.axes, spacing_mm=(wanted[0], wanted[1], wanted[2])), back


def cropped(image: Placed, step: CropForeground) -> tuple[Placed, Back]:
    """Crop to the box round values above 0 with its margin, inside the image; to the whole where there are none."""
    shape = image.values.shape[1:]
    found = (image.values > 0).any(dim=0)
    box = []
    for axis in range(3):
        along = found.any(dim=tuple(other for other in range(3) if other != axis)).nonzero().flatten()
        low, high = (0, shape[axis]) if not len(along) else (int(along[0]), int(along[-1]) + 1)
        box.append(slice(max(0, low - step.margin), min(shape[axis], high + step.margin)))
    place = (slice(None), *box)

    def back(answer: torch.Tensor, *, nearest: bool) -> torch.Tensor:  # noqa: ARG001 - of the protocol
        whole = answer.new_zeros((answer.shape[0], *shape))
        whole[place] = answer
        return whole

    values = image.values[place].contiguous()
    return Placed(values=values, axes=image.axes, spacing_mm=image.spacing_mm), back


def sampled(
    values: torch.Tensor, shape: tuple[int, ...], ratios: tuple[float, ...], *, nearest: bool
) -> torch.Tensor:
    """Return values (channel, x, y, z) at index j * ratio of each axis, in float64 and back to float32.

    Nearest keeps the type.
    """
    result = values if nearest else values.to(torch.float64)
    for axis, (length, ratio) in enumerate(zip(shape, ratios, strict=True), start=1):
        count = values.shape[axis]
        if length == count and ratio == 1.0:
            continue
        at = (torch.arange(length, dtype=torch.float64) * ratio).clamp_(0, count - 1)
        if nearest:  # halves go to the even neighbour, as in torch's grid_sample
            result = result.index_select(axis, at.round().to(torch.int64))
            continue
        low = at.floor().to(torch.int64).clamp_(max=max(count - 2, 0))
        part = (at - low).reshape([-1 if k == axis else 1 for k in range(4)])
        below = result.index_select(axis, low)
        above = result.index_select(axis, (low + 1).clamp_(max=count - 1))
        result = below * (1 - part) + above * part
    return result if nearest else result.to(torch.float32)

"""Tiles through the folds of one configuration: Gaussian weights, mirrored passes, float16 sums, as in nnU-Net.

The order of operations and the type of each sum are nnU-Net's on a processor: another order changes the labels of a few
voxels in a hundred thousand.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional

from inference.contract.nnunet import NnunetPart
from inference.server.nnunet.resampling import tile_starts

_PEAK = 10.0


class TiledNetwork:
    """The folds of one part on one device."""

    def __init__(self, part: NnunetPart, folds: list[nn.Module], device: torch.device) -> None:
        """Take ``folds``, networks in evaluation mode on the device."""
        self._part, self._folds, self._device = part, folds, device
        self._gaussian = gaussian(part.patch)

    @torch.inference_mode()
    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Map a normalised float32 image (three axes) to float16 logits (head, three axes), the mean of the folds."""
        patch = self._part.patch
        whole = (1,) * (image.ndim - len(patch)) + patch
        pads = [max(0, size - length) for size, length in zip(whole, image.shape, strict=True)]
        ends = [side for pad in reversed(pads) for side in (pad // 2, pad - pad // 2)]
        padded = functional.pad(image, ends)[None]
        total: torch.Tensor | None = None
        for network in self._folds:
            found = self._one_fold(padded, network)
            total = found if total is None else total.add_(found)
        assert total is not None  # a part has a fold
        if len(self._folds) > 1:
            total /= len(self._folds)
        inside = [slice(pad // 2, pad // 2 + length) for pad, length in zip(pads, image.shape, strict=True)]
        return total[(slice(None), *inside)]

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Run the folds on one tile of zeros."""
        self._answer(torch.zeros((1, 1, *self._part.patch)), self._folds[0])

    def _one_fold(self, padded: torch.Tensor, network: nn.Module) -> torch.Tensor:
        total = torch.zeros((len(self._part.heads), *padded.shape[1:]), dtype=torch.float16)
        weights = torch.zeros(padded.shape[1:], dtype=torch.float16)
        for place in self._places(tuple(padded.shape[1:])):
            found = self._answer(padded[(slice(None), *place)][None], network)[0]
            found *= self._gaussian
            total[(slice(None), *place)] += found
            weights[place] += self._gaussian
        torch.div(total, weights, out=total)
        if torch.isinf(total).any():
            raise ValueError("logits are beyond what float16 holds: this model cannot be run as nnU-Net does")
        return total

    def _places(self, shape: tuple[int, ...]) -> Iterator[tuple[slice | int, ...]]:
        patch, step = self._part.patch, self._part.step
        starts = [
            tile_starts(length, size, step)
            for length, size in zip(shape[len(shape) - len(patch) :], patch, strict=True)
        ]
        slices: list[list[slice | int]] = [
            [slice(begin, begin + size) for begin in begins]
            for begins, size in zip(starts, patch, strict=True)
        ]
        single: list[list[slice | int]] = [list(range(shape[0]))] if len(patch) < len(shape) else []
        yield from itertools.product(*single, *slices)

    def _answer(self, tile: torch.Tensor, network: nn.Module) -> torch.Tensor:
        tile = tile.contiguous().to(self._device)
        axes = [axis + 2 for axis in self._part.mirror_axes]
        mirrors = [
            chosen for count in range(1, len(axes) + 1) for chosen in itertools.combinations(axes, count)
        ]
        found: torch.Tensor = network(tile)
        for chosen in mirrors:
            found += torch.flip(network(torch.flip(tile, chosen)), chosen)
        if mirrors:
            found /= len(mirrors) + 1
        return found.to("cpu")


def gaussian(patch: tuple[int, ...]) -> torch.Tensor:
    """Return the weights of a tile, float16: a Gaussian of sigma patch / 8, 10 in the middle, never 0."""
    point = np.zeros(patch)
    point[tuple(size // 2 for size in patch)] = 1
    weight = ndimage.gaussian_filter(point, [size / 8 for size in patch], 0, mode="constant", cval=0)
    weight /= weight.max() / _PEAK
    tile = torch.from_numpy(weight).to(torch.float16)
    tile[tile == 0] = tile[tile != 0].min()
    return tile

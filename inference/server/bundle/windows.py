"""Windows over an image and the blend of a network's answers, as MONAI's sliding_window_inference does it."""

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from inference.contract.bundle import SlidingWindow

Answer = Callable[[torch.Tensor], torch.Tensor]
Sizes = tuple[int, ...]


def windowed(image: torch.Tensor, answer: Answer, how: SlidingWindow) -> torch.Tensor:
    """Map an image (channel, x, y, z) to an answer of its size; images below a window's size are padded."""
    shape = image.shape[1:]
    roi = tuple(asked if asked > 0 else size for asked, size in zip(how.roi, shape, strict=True))
    lacking = [max(asked - size, 0) for asked, size in zip(roi, shape, strict=True)]
    pads = [pad for lack in reversed(lacking) for pad in (lack // 2, lack - lack // 2)]
    padded = image
    if any(pads):
        value = how.padding_value if how.padding == "constant" else None
        padded = functional.pad(image[None], pads, mode=how.padding, value=value)[0]
    whole = tuple(int(n) for n in padded.shape[1:])
    weight = importance(roi, how)
    places = list(_places(whole, roi, how.overlap))
    total, weights = None, torch.zeros(whole)
    for first in range(0, len(places), how.batch):
        some = places[first : first + how.batch]
        found = answer(torch.stack([padded[(slice(None), *place)] for place in some])).to(torch.float32)
        if total is None:
            total = torch.zeros((found.shape[1], *whole))
        for place, logits in zip(some, found, strict=True):
            total[(slice(None), *place)] += logits * weight
    for place in places:
        weights[place] += weight
    assert total is not None  # every image has a window
    total /= weights
    inside = tuple(slice(lack // 2, lack // 2 + size) for lack, size in zip(lacking, shape, strict=True))
    return total[(slice(None), *inside)]


def importance(roi: Sizes, how: SlidingWindow) -> torch.Tensor:
    """Return the weight of each voxel of a window: one, or a Gaussian that never falls below a thousandth."""
    if how.blend == "constant":
        return torch.ones(roi)
    weight = torch.ones(())
    for axis, size in enumerate(roi):
        offset = torch.arange(-(size - 1) / 2.0, (size - 1) / 2.0 + 1, dtype=torch.float32)
        along = torch.exp(offset**2 / (-2 * (size * how.sigma_scale) ** 2))
        weight = along if axis == 0 else weight.unsqueeze(-1) * along
    return weight.clamp(min=max(float(weight.min()), 1e-3))


def _places(whole: Sizes, roi: Sizes, overlap: tuple[float, ...]) -> Iterator[tuple[slice, ...]]:
    starts = [list(_starts(n, size, share)) for n, size, share in zip(whole, roi, overlap, strict=True)]
    for corner in itertools.product(*starts):
        yield tuple(slice(start, start + size) for start, size in zip(corner, roi, strict=True))


def _starts(length: int, size: int, overlap: float) -> Iterator[int]:
    """Yield the starts of windows a fixed step apart; the last one is moved back to the edge."""
    step = size if size == length else max(int(size * (1 - overlap)), 1)
    for number in range(math.ceil(length / step)):
        yield min(number * step, length - size)
        if number * step + size >= length:
            return

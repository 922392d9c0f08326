"""Tiles of the size that the network was trained on, blended where they overlap."""

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

Predict = Callable[[torch.Tensor], torch.Tensor]
Size = tuple[int, int, int]

AIR_HU = -1000.0


@torch.no_grad()
def tiled_logits(
    values: torch.Tensor,
    predict: Predict,
    tile_zyx: Size,
    overlap: float,
    *,
    batch: int,
    outside: float = AIR_HU,
) -> torch.Tensor:
    """Map values (..., z, y, x), HU or channels, to logits (structure, z, y, x), float32.

    ``predict`` maps at most ``batch`` tiles (tile, ..., z, y, x) to logits (tile, structure, z, y, x). A volume
    smaller than a tile is padded with ``outside``, air. Neighbouring tiles share at least ``overlap`` of their length
    and are blended with a Gaussian (sigma an eighth of the tile), as in nnU-Net (Isensee et al., Nature Methods 2021).
    """
    nz, ny, nx = values.shape[-3:]
    pads = [max(0, size - length) for length, size in zip((nz, ny, nx), tile_zyx, strict=True)]
    padded = functional.pad(values, [0, pads[2], 0, pads[1], 0, pads[0]], value=outside)
    whole = (nz + pads[0], ny + pads[1], nx + pads[2])
    weight = _gaussian(tile_zyx)
    total: torch.Tensor | None = None
    weights = torch.zeros(whole)
    places = list(_tiles(whole, tile_zyx, overlap))
    for begin in range(0, len(places), batch):
        together = places[begin : begin + batch]
        for place, logits in zip(
            together, predict(torch.stack([padded[(..., *p)] for p in together])), strict=True
        ):
            if total is None:
                total = torch.zeros((logits.shape[0], *whole))
            total[(slice(None), *place)] += logits * weight
            weights[place] += weight
    assert total is not None  # every volume has at least one tile
    total /= weights
    return total[:, :nz, :ny, :nx]


def _tiles(shape: Size, tile: Size, overlap: float) -> Iterator[tuple[slice, slice, slice]]:
    starts = [_starts(length, size, overlap) for length, size in zip(shape, tile, strict=True)]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                yield slice(z, z + tile[0]), slice(y, y + tile[1]), slice(x, x + tile[2])


def _starts(length: int, size: int, overlap: float) -> list[int]:
    room = length - size
    stride = size * (1 - overlap)
    count = 1 if room <= 0 else 1 + -int(-room // stride)
    return [round(i * room / max(count - 1, 1)) for i in range(count)]


def _gaussian(size: Size) -> torch.Tensor:
    axes = []
    for length in size:
        offset = torch.arange(length, dtype=torch.float32) - (length - 1) / 2
        axes.append(torch.exp(-0.5 * (offset / (length / 8)) ** 2))
    weight = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
    return weight.clamp(min=1e-3)

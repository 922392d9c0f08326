"""A network run on tiles of HU: windows, the mirrored pass, and no work for air."""

import torch
from torch import nn

from inference.contract import WholeVolumeTiles
from inference.server.intensity import window_channels
from inference.server.pipelines.sliding_window import Predict

TILES_AT_ONCE = 2  # for a single tile, torch computes a convolution half as fast
_NOTHING_LOGIT = -20.0


def tile_predictor(
    network: nn.Module, how: WholeVolumeTiles, mirror_order: tuple[int, ...], device: torch.device
) -> Predict:
    """Map HU (tile, z, y, x) to logits (tile, structure, z, y, x) on the processor; tiles of air are skipped.

    Structure i of a tile is structure mirror_order[i] of its left-right mirror.
    """

    def look(hu: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(window_channels(hu.to(device), how.windows_hu))
        return logits.to("cpu", torch.float32)

    def predict(hu: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(hu), len(mirror_order), *hu.shape[1:]), _NOTHING_LOGIT)
        dense = (hu > how.body_threshold_hu).flatten(1).any(dim=1)
        if dense.any():
            seen = hu[dense]
            found = look(seen)
            logits[dense] = mirrored_mean(found, look(seen.flip(-1)), mirror_order) if how.mirror else found
        return logits

    return predict


def mirrored_mean(logits: torch.Tensor, mirror: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Average logits (tile, structure, z, y, x) of tiles and of their mirror images, in the tiles' orientation.

    Structure i of a tile is structure order[i] of its mirror.
    """
    return (logits + mirror[:, list(order)].flip(-1)) / 2

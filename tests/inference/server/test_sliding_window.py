"""Tiles: what an identity network says comes back exactly, wherever the tiles overlap."""

import pytest
import torch

from inference.server.pipelines.sliding_window import tiled_logits

TILE = (8, 10, 12)


def identity(tiles: torch.Tensor) -> torch.Tensor:
    assert tuple(tiles.shape) == (1, *TILE)
    return torch.stack([tiles, -tiles], dim=1)


@pytest.mark.parametrize("shape", [(8, 10, 12), (3, 4, 5), (19, 10, 40), (9, 31, 11), (8, 11, 13)])
@pytest.mark.parametrize("overlap", [0.0, 0.4, 0.7])
def test_an_identity_network_gives_the_volume_back(shape: tuple[int, int, int], overlap: float) -> None:
    hu = torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 100
    logits = tiled_logits(hu, identity, TILE, overlap, batch=1)
    assert logits.shape == (2, *shape)
    assert torch.allclose(logits[0], hu, atol=1e-3)
    assert torch.allclose(logits[1], -hu, atol=1e-3)


def test_a_volume_smaller_than_a_tile_is_padded_with_air() -> None:
    seen = []

    def look(hu: torch.Tensor) -> torch.Tensor:
        seen.append(hu[0].clone())
        return hu[None]

    tiled_logits(torch.zeros((2, 3, 4)), look, TILE, 0.4, batch=1)
    (tile,) = seen
    assert (tile[:2, :3, :4] == 0).all()
    assert (tile == -1000).sum() == tile.numel() - 24


def test_neighbours_agree_in_the_middle_between_tiles() -> None:
    """Each tile says its own number; halfway both weigh the same, and at its centre a tile decides."""
    calls = iter((0.0, 1.0))
    logits = tiled_logits(
        torch.zeros((8, 10, 20)), lambda hu: torch.full((1, *hu.shape), next(calls)), TILE, 0.3, batch=1
    )
    row = logits[0, 4, 5]
    assert row[9:11].mean() == pytest.approx(0.5, abs=1e-5)
    assert (row[:8] == 0).all()
    assert (row.diff() >= 0).all()


@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_tiles_together_say_what_tiles_alone_say(batch: int) -> None:
    hu = torch.rand((20, 25, 30), generator=torch.Generator().manual_seed(4))

    def squares(tiles: torch.Tensor) -> torch.Tensor:
        return torch.stack([tiles, tiles**2], dim=1)

    together = tiled_logits(hu, squares, TILE, 0.4, batch=batch)
    assert torch.allclose(together[0], hu, atol=1e-6)
    assert torch.allclose(together[1], hu**2, atol=1e-6)

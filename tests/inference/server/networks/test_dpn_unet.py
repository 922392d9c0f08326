"""DpnUNet: DPN-92 as published, and the scales of its skips."""

import pytest
import torch

from inference.server.networks.dpn_unet import DpnUnet, DpnUnetConfig, DualPathBlock, DualPathWidths
from tests.support.networks import meta_shapes, parameters


def test_the_encoder_is_dpn_92() -> None:
    """The published classifier of 1000 classes has 37,668,392 parameters, 2,689,000 of them in its last layer."""
    encoder = parameters(lambda: DpnUnet(DpnUnetConfig(in_channels=3)).encoder)
    assert encoder + 2688 * 1000 + 1000 == 37_668_392


def test_features_at_each_scale() -> None:
    shapes = meta_shapes(lambda: DpnUnet(DpnUnetConfig()).encoder, (1, 5, 96, 64))
    assert shapes == [
        (1, 64, 48, 32), (1, 336, 24, 16), (1, 704, 12, 8), (1, 1552, 6, 4), (1, 2688, 3, 2)
    ]  # fmt: skip


@pytest.mark.parametrize("slices", [1, 3, 5])
def test_one_three_or_five_slices_go_in(slices: int) -> None:
    config = DpnUnetConfig(in_channels=slices, out_channels=4)
    assert meta_shapes(lambda: DpnUnet(config), (1, slices, 96, 64)) == [(1, 4, 96, 64)]


def test_the_residual_path_is_added_and_the_dense_path_grows() -> None:
    widths = DualPathWidths(bottleneck=8, residual=8, increment=2, groups=2)
    block = DualPathBlock(12, widths, first=False, stride=1).eval()

    features = torch.randn(1, 12, 4, 4)
    with torch.no_grad():
        found, path = block(features), block.path(features)
    assert torch.equal(found[:, :8], features[:, :8] + path[:, :8])
    assert torch.equal(found[:, 8:12], features[:, 8:])
    assert torch.equal(found[:, 12:], path[:, 8:])


def test_stages_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="increments"):
        DpnUnetConfig(increments=(16, 32))

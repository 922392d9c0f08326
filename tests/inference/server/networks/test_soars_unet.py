"""The backbone of SOARS: its blocks, its six operations, its counts."""

import pytest
import torch
from torch import nn

from inference.server.networks.soars_unet import (
    OPERATIONS,
    ResidualBlock,
    SoarsUnet,
    SoarsUnetConfig,
    operation,
)
from tests.support.networks import meta_shapes, parameters


@pytest.mark.parametrize(
    ("inputs", "outputs", "count"), [(1, 10, 16_847_274), (10, 20, 16_855_668), (1, 43, 16_848_363)]
)
def test_parameters_of_the_plain_network(inputs: int, outputs: int, count: int) -> None:
    assert parameters(lambda: SoarsUnet(SoarsUnetConfig(in_channels=inputs, out_channels=outputs))) == count


@pytest.mark.parametrize(("name", "millions"), [("2d3", 6.49), ("3d5", 73.2)])
def test_parameters_of_one_operation_throughout(name: str, millions: float) -> None:
    config = SoarsUnetConfig(out_channels=10, operations=(name,) * 9)
    assert parameters(lambda: SoarsUnet(config)) / 1e6 == pytest.approx(millions, abs=0.05)


def test_the_search_space_has_the_six_stated_operations() -> None:
    assert OPERATIONS == {
        "2d3": ((1, 3, 3),),
        "2d5": ((1, 5, 5),),
        "3d3": ((3, 3, 3),),
        "3d5": ((5, 5, 5),),
        "p3d3": ((1, 3, 3), (3, 1, 1)),
        "p3d5": ((1, 5, 5), (5, 1, 1)),
    }


def test_five_encoding_and_four_decoding_blocks_of_two_convolutions_of_one_kind() -> None:
    names = ("2d3", "2d5", "3d3", "3d5", "p3d3", "p3d5", "2d3", "3d3", "p3d3")
    with torch.device("meta"):
        network = SoarsUnet(SoarsUnetConfig(operations=names))
    assert (len(network.encoder), len(network.decoder), len(network.upward)) == (5, 4, 4)
    for block, name in zip([*network.encoder, *network.decoder], names, strict=True):
        assert isinstance(block, ResidualBlock)
        kernels = [
            tuple(m.kernel_size)
            for part in (block.first, block.second)
            for m in part
            if isinstance(m, nn.Conv3d)
        ]
        assert kernels == list(OPERATIONS[name]) * 2
    widths = [block.second[0].out_channels for block in network.encoder]
    assert widths == [32, 64, 128, 256, 320]
    assert all(up.stride == (2, 2, 2) for up in network.upward)


def test_sizes_halve_four_times_and_come_back() -> None:
    seen: list[tuple[int, ...]] = []
    with torch.device("meta"):
        network = SoarsUnet(SoarsUnetConfig(out_channels=3))
        for block in [*network.encoder, *network.decoder]:
            block.register_forward_hook(lambda _, __, made: seen.append(tuple(made.shape[1:])))
        network(torch.zeros(1, 1, 32, 64, 64))
    assert seen == [
        (32, 32, 64, 64), (64, 16, 32, 32), (128, 8, 16, 16), (256, 4, 8, 8), (320, 2, 4, 4),
        (256, 4, 8, 8), (128, 8, 16, 16), (64, 16, 32, 32), (32, 32, 64, 64),
    ]  # fmt: skip


def test_the_residual_connection_adds_the_input() -> None:
    block = ResidualBlock(3, 3, lambda a, b: operation("3d3", a, b, norm="instance", preactivation=False))
    features = torch.randn(1, 3, 4, 4, 4)
    assert torch.allclose(block(features), block.second(block.first(features)) + features)


def test_both_readings_of_the_order_inside_an_operation() -> None:
    kinds = [type(m) for m in operation("3d3", 2, 4, norm="instance", preactivation=False)]
    assert kinds == [nn.Conv3d, nn.InstanceNorm3d, nn.LeakyReLU]
    kinds = [type(m) for m in operation("p3d3", 2, 4, norm="batch", preactivation=True)]
    assert kinds == [nn.BatchNorm3d, nn.ReLU, nn.Conv3d] * 2
    config = SoarsUnetConfig(channels=(4, 8), operations=("p3d5",) * 3, norm="batch", preactivation=True)
    assert meta_shapes(lambda: SoarsUnet(config), (2, 1, 8, 8, 8)) == [(2, 9, 8, 8, 8)]


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(ValueError, match="4d3"):
        SoarsUnetConfig(operations=("4d3",) * 9)
    with pytest.raises(ValueError, match="9 blocks"):
        SoarsUnetConfig(operations=("3d3",) * 8)
    with pytest.raises(ValueError, match="layer"):
        SoarsUnetConfig(norm="layer")  # type: ignore[arg-type]

"""The modified ResNet34: counts, scales, and which stages are merged."""

import torch

from inference.server.networks.modified_resnet import ModifiedResNet, ModifiedResNetConfig
from inference.server.networks.resnet import BasicBlock, ResNetEncoder
from tests.support.networks import meta_shapes, parameters


def test_parameters_of_the_encoder_and_of_the_whole() -> None:
    assert parameters(lambda: ModifiedResNet(ModifiedResNetConfig()).encoder) == 21_278_400
    assert parameters(lambda: ResNetEncoder(3, BasicBlock, (3, 4, 6, 3))) == 21_284_672
    assert parameters(lambda: ModifiedResNet(ModifiedResNetConfig())) == 23_861_377
    narrow = ModifiedResNetConfig(branch_channels=64, fused_channels=128)
    assert parameters(lambda: ModifiedResNet(narrow)) == 22_275_201


def test_a_slice_of_512_shrinks_to_16_and_comes_back() -> None:
    shapes = meta_shapes(lambda: ModifiedResNet(ModifiedResNetConfig()).encoder, (1, 1, 512, 512))
    assert shapes == [
        (1, 64, 256, 256), (1, 64, 128, 128), (1, 128, 64, 64), (1, 256, 32, 32), (1, 512, 16, 16)
    ]  # fmt: skip
    assert meta_shapes(lambda: ModifiedResNet(ModifiedResNetConfig()), (1, 1, 512, 512)) == [(1, 1, 512, 512)]


def test_stages_3_4_and_5_are_brought_to_a_quarter_and_summed_with_stage_2() -> None:
    network = ModifiedResNet(ModifiedResNetConfig(channels=4, branch_channels=8, fused_channels=8)).eval()
    assert [len(steps) for steps in network.branches] == [1, 2, 3]
    seen: dict[str, torch.Tensor] = {}
    network.fuse.register_forward_hook(lambda _, given, made: seen.update(given=given[0], made=made))
    network.rise.register_forward_pre_hook(lambda _, given: seen.update(rising=given[0]))
    slices = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        network(slices)
        stage_2 = network.encoder(slices)[1]
    assert seen["given"].shape == (1, 24, 16, 16)
    assert seen["made"].shape == stage_2.shape == (1, 4, 16, 16)
    summed = stage_2 + seen["made"]
    assert torch.allclose(seen["rising"], summed, atol=1e-6)


def test_a_convolution_stands_beside_a_block_only_where_size_or_width_changes() -> None:
    encoder = ResNetEncoder(1, BasicBlock, (3, 4, 6, 3), width=4)
    beside = [
        [not isinstance(block.shortcut, torch.nn.Identity) for block in stage] for stage in encoder.stages
    ]
    assert beside == [[False] * 3, [True] + [False] * 3, [True] + [False] * 5, [True] + [False] * 2]

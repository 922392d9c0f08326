"""The U-Nets: published widths and counts, and their answers' shapes."""

import torch

from inference.server.networks.unet2d import Unet2d, Unet2dConfig
from inference.server.networks.unet_plus_plus import UnetPlusPlus, UnetPlusPlusConfig
from tests.support.networks import meta_shapes, parameters


def test_parameters_of_the_rival_unets() -> None:
    assert parameters(lambda: Unet2d(Unet2dConfig())) == 31_036_481
    assert parameters(lambda: Unet2d(Unet2dConfig(batch_norm=False))) == 31_030_593
    assert parameters(lambda: Unet2d(Unet2dConfig(in_channels=5))) == 31_038_785


def test_unetd2_has_half_the_channels() -> None:
    half = Unet2dConfig(in_channels=5, channels=(32, 64, 128, 256, 512))
    assert parameters(lambda: Unet2d(half)) == 7_763_617


def test_unet_plus_plus_has_the_published_9_04_million() -> None:
    assert round(parameters(lambda: UnetPlusPlus(UnetPlusPlusConfig(in_channels=3))) / 1e6, 2) == 9.04


def test_a_unet_keeps_the_size() -> None:
    assert meta_shapes(lambda: Unet2d(Unet2dConfig(out_channels=3)), (2, 1, 64, 80)) == [(2, 3, 64, 80)]


def test_unet_plus_plus_answers_from_each_nested_network_in_training() -> None:
    def build() -> UnetPlusPlus:
        return UnetPlusPlus(UnetPlusPlusConfig(out_channels=2))

    assert meta_shapes(build, (1, 5, 32, 48), training=True) == [(1, 2, 32, 48)] * 4
    assert meta_shapes(build, (1, 5, 32, 48)) == [(1, 2, 32, 48)]


def test_the_evaluated_answer_of_unet_plus_plus_is_the_first_of_training() -> None:
    torch.manual_seed(1)
    network = UnetPlusPlus(UnetPlusPlusConfig(channels=(4, 8, 8), in_channels=1))
    slices = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(network.train()(slices)[0], network.eval()(slices))

"""DeepLabV3+: the backbones as published, output stride 16, the pyramid, the decoder, and a crop of 200."""

import pytest
import torch
from torch import nn

from inference.server.networks.deeplab import Backbone, DeepLabConfig, DeepLabV3Plus
from inference.server.networks.densenet import DenseNetEncoder
from inference.server.networks.resnet import Bottleneck, ResNetEncoder
from inference.server.networks.xception import XceptionEncoder
from tests.support.networks import meta_shapes, parameters


def test_backbones_have_the_published_parameters_without_their_classifiers() -> None:
    assert parameters(lambda: ResNetEncoder(3, Bottleneck, (3, 4, 6, 3))) == 25_557_032 - 2_049_000
    assert parameters(lambda: DenseNetEncoder(3)) == 7_978_856 - 1_025_000


def xception_65() -> int:
    """Counted from the list of its convolutions: a norm has two numbers a channel."""

    def separable(a: int, b: int) -> int:
        return 9 * a + 2 * a + a * b + 2 * b

    def block(a: int, *outs: int, shortcut: bool) -> int:
        steps = zip((a, *outs[:-1]), outs, strict=True)
        return sum(separable(i, o) for i, o in steps) + shortcut * (a * outs[-1] + 2 * outs[-1])

    stem = 27 * 32 + 64 + 9 * 32 * 64 + 128
    entry = sum(block(a, b, b, b, shortcut=True) for a, b in ((64, 128), (128, 256), (256, 728)))
    middle = 16 * block(728, 728, 728, 728, shortcut=False)
    last = block(728, 728, 1024, 1024, shortcut=True)
    return (
        stem + entry + middle + last + sum(separable(*s) for s in ((1024, 1536), (1536, 1536), (1536, 2048)))
    )


def test_the_modified_xception_is_the_deep_one_without_pooling() -> None:
    with torch.device("meta"):
        encoder = XceptionEncoder(3)
    assert sum(p.numel() for p in encoder.parameters()) == xception_65()
    assert not [m for m in encoder.modules() if isinstance(m, nn.MaxPool2d)]
    depthwise = [m for m in encoder.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert len(depthwise) == 3 * 3 + 16 * 3 + 3 + 3


def test_about_41_million_parameters() -> None:
    assert round(parameters(lambda: DeepLabV3Plus(DeepLabConfig())) / 1e6) == 41


@pytest.mark.parametrize("backbone", ["xception65", "resnet50", "densenet121"])
def test_any_size_comes_back_a_crop_of_200_too(backbone: Backbone) -> None:
    config = DeepLabConfig(backbone=backbone, out_channels=2)
    for size in ((200, 200), (256, 256), (90, 117)):
        assert meta_shapes(lambda: DeepLabV3Plus(config), (1, 3, *size)) == [(1, 2, *size)]


@pytest.mark.parametrize(
    ("backbone", "shallow", "deep"),
    [("xception65", 256, 2048), ("resnet50", 256, 2048), ("densenet121", 256, 1024)],
)
def test_output_stride_16_and_shallow_features_at_a_quarter(
    backbone: Backbone, shallow: int, deep: int
) -> None:
    shapes = meta_shapes(lambda: DeepLabV3Plus(DeepLabConfig(backbone=backbone)).encoder, (1, 3, 256, 192))
    assert shapes == [(1, shallow, 64, 48), (1, deep, 16, 12)]


def test_the_pyramid_looks_five_ways_at_the_stated_rates() -> None:
    with torch.device("meta"):
        network = DeepLabV3Plus(DeepLabConfig(separable=False))
    dilations = [look[0].dilation for look in network.pyramid.looks]
    assert dilations == [(1, 1), (6, 6), (12, 12), (18, 18)]
    assert network.pyramid.join[0].in_channels == 5 * 256
    assert network.reduce[0].out_channels == 48
    assert network.decoder[0][0].in_channels == 256 + 48


def test_a_batch_of_one_can_be_trained() -> None:
    network = DeepLabV3Plus(DeepLabConfig(in_channels=1, backbone="densenet121", width=4, pyramid_channels=8))
    network.train()(torch.randn(1, 1, 64, 64)).sum().backward()


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(ValueError, match="vgg"):
        DeepLabV3Plus(DeepLabConfig(backbone="vgg"))  # type: ignore[arg-type]

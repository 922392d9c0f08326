"""DeepLabV3+ (Chen et al., ECCV 2018) on the modified Xception-65, on ResNet-50 or on DenseNet-121.

Atrous spatial pyramid pooling at output stride 16 (1x1, three dilated 3x3 at 6, 12 and 18, and the image's mean), 256
channels each; then the decoder: 4x up, joined with 48 channels of the encoder's features at 1/4, two 3x3 convolutions.
The 3x3 convolutions of pyramid and decoder are separable, as in that paper's best network and in mmsegmentation;
dropout 0.1 before the classifier is mmsegmentation's. Resizing keeps pixel areas in place (``align_corners=False``), so
that an input need not be a multiple of 16: a crop of 200 becomes 13 and comes back as 200.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.convolutions import conv_bn_relu, resized
from inference.server.networks.densenet import DenseNetEncoder
from inference.server.networks.resnet import Bottleneck, ResNetEncoder
from inference.server.networks.xception import XceptionEncoder, separable

Backbone = Literal["xception65", "resnet50", "densenet121"]


@dataclass(frozen=True, kw_only=True)
class DeepLabConfig:
    """The parameters that define one network; ``width`` 32 is every backbone as published, 16 half of it."""

    in_channels: int = 3
    out_channels: int = 1
    backbone: Backbone = "xception65"
    width: int = 32
    pyramid_channels: int = 256
    rates: tuple[int, ...] = (6, 12, 18)
    shallow_channels: int = 48
    separable: bool = True
    dropout_percent: int = 10

    @property
    def multiple_yx(self) -> int:
        """1: any size is accepted."""
        return 1


class DeepLabV3Plus(nn.Module):
    """Slices in, one logit per structure and pixel out."""

    def __init__(self, config: DeepLabConfig) -> None:
        """Build encoder, pyramid and decoder; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        shallow, deep = self.encoder.channels
        wide = config.pyramid_channels
        self.pyramid = Pyramid(config, deep)
        self.reduce = conv_bn_relu(shallow, config.shallow_channels, 1)
        convolution = separable if config.separable else conv_bn_relu
        self.decoder = nn.Sequential(
            convolution(wide + config.shallow_channels, wide),
            convolution(wide, wide),
            nn.Dropout2d(config.dropout_percent / 100),
            nn.Conv2d(wide, config.out_channels, 1),
        )

    @override
    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, y, x) to logits (batch, out_channels, y, x)."""
        shallow, deep = self.encoder(slices)
        features = resized(self.pyramid(deep), (shallow.shape[-2], shallow.shape[-1]))
        logits = self.decoder(torch.cat([features, self.reduce(shallow)], dim=1))
        return resized(logits, (slices.shape[-2], slices.shape[-1]))


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: parallel convolutions at several dilations, joined by a 1x1 convolution."""

    def __init__(self, config: DeepLabConfig, inputs: int) -> None:
        """Build the branches: ``inputs`` channels in, ``config.pyramid_channels`` out."""
        super().__init__()
        wide = config.pyramid_channels
        convolution = separable if config.separable else conv_bn_relu
        self.looks = nn.ModuleList(
            [
                conv_bn_relu(inputs, wide, 1),
                *(convolution(inputs, wide, dilation=rate) for rate in config.rates),
            ]
        )
        # a norm over one pixel cannot learn a variance from a batch of one: the mean's branch has no norm
        self.mean = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, wide, 1), nn.ReLU(inplace=True))
        self.join = conv_bn_relu((len(self.looks) + 1) * wide, wide, 1)

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, inputs, y, x) to (batch, pyramid_channels, y, x)."""
        size = (features.shape[-2], features.shape[-1])
        looks = [look(features) for look in self.looks]
        joined: torch.Tensor = self.join(torch.cat([*looks, resized(self.mean(features), size)], dim=1))
        return joined


def _encoder(config: DeepLabConfig) -> "XceptionEncoder | DenseNetEncoder | _ShallowAndDeep":
    if config.backbone == "xception65":
        return XceptionEncoder(config.in_channels, width=config.width)
    if config.backbone == "densenet121":
        return DenseNetEncoder(config.in_channels, growth=config.width)
    if config.backbone == "resnet50":
        return _ShallowAndDeep(
            ResNetEncoder(
                config.in_channels, Bottleneck, (3, 4, 6, 3), width=2 * config.width, output_stride=16
            )
        )
    raise ValueError(f"backbone is xception65, resnet50 or densenet121, not {config.backbone!r}")


class _ShallowAndDeep(nn.Module):
    """An encoder by stages, reduced to its features at 1/4 and its last ones."""

    def __init__(self, stages: ResNetEncoder) -> None:
        super().__init__()
        self.stages = stages
        self.channels = (stages.channels[1], stages.channels[-1])

    @override
    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.stages(slices)
        return found[1], found[-1]

"""The modified ResNet34 for lung GTV: stages 3, 4 and 5 are brought to 1/4, fused, and added to stage 2.

As stated in the study: one grey channel of 512 x 512, a ResNet34 in five stages down to 16 x 16, bilinear up-sampling
and convolution until stages 3 to 5 are at 1/4, concatenation, a stack of convolutions down to the channels of stage 2,
the sum, bilinear up-sampling and convolution to full size, sigmoid. Not stated there, chosen here: 128 channels after
each up-step (``branch_channels``), 384 -> 256 -> 64 by 3x3 convolutions, dropout 0.5 before the last convolution, and
stage 1 unused ("features from all levels" against a description that names 2 to 5).
"""

from dataclasses import dataclass

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.convolutions import conv_bn_relu, rise
from inference.server.networks.resnet import BasicBlock, ResNetEncoder


@dataclass(frozen=True, kw_only=True)
class ModifiedResNetConfig:
    """The parameters that define one network."""

    in_channels: int = 1
    out_channels: int = 1
    channels: int = 64  # of stages 1 and 2; each further stage has twice as many
    branch_channels: int = 128
    fused_channels: int = 256
    dropout_percent: int = 50

    @property
    def multiple_yx(self) -> int:
        """Both axes of an input must be a multiple of this many pixels."""
        return 32


class ModifiedResNet(nn.Module):
    """Slices in, one logit per structure and pixel out."""

    def __init__(self, config: ModifiedResNetConfig) -> None:
        """Build the encoder and the branches; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        self.encoder = ResNetEncoder(config.in_channels, BasicBlock, (3, 4, 6, 3), width=config.channels)
        _, shallow, *deep = self.encoder.channels
        branch = config.branch_channels
        self.branches = nn.ModuleList(
            nn.Sequential(*(rise(channels if step == 0 else branch, branch) for step in range(steps)))
            for steps, channels in enumerate(deep, start=1)
        )
        self.fuse = nn.Sequential(
            conv_bn_relu(len(deep) * branch, config.fused_channels),
            conv_bn_relu(config.fused_channels, shallow),
        )
        self.rise = nn.Sequential(rise(shallow, shallow), rise(shallow, shallow))
        self.head = nn.Sequential(
            nn.Dropout2d(config.dropout_percent / 100), nn.Conv2d(shallow, config.out_channels, 1)
        )

    @override
    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, y, x) to logits (batch, out_channels, y, x)."""
        _, shallow, *deep = self.encoder(slices)
        quarters = [branch(features) for branch, features in zip(self.branches, deep, strict=True)]
        fused = shallow + self.fuse(torch.cat(quarters, dim=1))
        logits: torch.Tensor = self.head(self.rise(fused))
        return logits

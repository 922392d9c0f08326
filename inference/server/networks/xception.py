"""The modified aligned Xception-65 (Chen et al., ECCV 2018): deeper, strided separable convolutions, no pooling.

Batch norm and ReLU follow each depthwise convolution, the third change of that paper. Output stride 16: the exit
flow keeps its size and its last convolutions are dilated by 2.
"""

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.convolutions import conv_bn_relu

_MIDDLE_BLOCKS = 16


def separable(inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Return a 3x3 depthwise and a 1x1 convolution, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class XceptionBlock(nn.Module):
    """Three separable convolutions, the last with the stride, plus the identity or a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: tuple[int, int, int], *, stride: int = 1) -> None:
        """Build a block; ``outputs`` are the channels of each convolution."""
        super().__init__()
        self.first = nn.Sequential(separable(inputs, outputs[0]), separable(outputs[0], outputs[1]))
        self.last = separable(outputs[1], outputs[2], stride=stride)
        changes = stride != 1 or inputs != outputs[2]
        self.shortcut: nn.Module = (
            nn.Sequential(nn.Conv2d(inputs, outputs[2], 1, stride, bias=False), nn.BatchNorm2d(outputs[2]))
            if changes
            else nn.Identity()
        )

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, inputs, y, x) to (batch, outputs[2], y / stride, x / stride)."""
        found: torch.Tensor = self.last(self.first(features)) + self.shortcut(features)
        return found


class XceptionEncoder(nn.Module):
    """The whole backbone; ``channels`` are those of its shallow (1/4) and its deep features (1/16)."""

    def __init__(self, in_channels: int, *, width: int = 32) -> None:
        """Build the backbone; ``width`` is the first convolution's, 32 as published, all others in proportion."""
        super().__init__()

        def wide(channels: int) -> int:
            return channels * width // 32

        self.stem = nn.Sequential(
            conv_bn_relu(in_channels, wide(32), stride=2), conv_bn_relu(wide(32), wide(64))
        )
        self.entry_1 = XceptionBlock(wide(64), (wide(128),) * 3, stride=2)
        self.entry_2 = XceptionBlock(wide(128), (wide(256),) * 3, stride=2)
        self.entry_3 = XceptionBlock(wide(256), (wide(728),) * 3, stride=2)
        self.middle = nn.Sequential(
            *(XceptionBlock(wide(728), (wide(728),) * 3) for _ in range(_MIDDLE_BLOCKS))
        )
        self.exit = nn.Sequential(
            XceptionBlock(wide(728), (wide(728), wide(1024), wide(1024))),
            separable(wide(1024), wide(1536), dilation=2),
            separable(wide(1536), wide(1536), dilation=2),
            separable(wide(1536), wide(2048), dilation=2),
        )
        self.channels = (wide(256), wide(2048))

    @override
    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (batch, in_channels, y, x) to features at 1/4 (before the second block's stride) and at 1/16."""
        features = self.entry_1(self.stem(slices))
        shallow = self.entry_2.first(features)
        features = self.entry_2.last(shallow) + self.entry_2.shortcut(features)
        return shallow, self.exit(self.middle(self.entry_3(features)))

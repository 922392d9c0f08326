"""DenseNet-121 as an encoder (Huang et al., CVPR 2017): growth 32, blocks of 6, 12, 24 and 16 layers.

Output stride 16: the last transition keeps its size and the last block is dilated by 2.
"""

import torch
from torch import nn
from typing_extensions import override

_BLOCKS = (6, 12, 24, 16)


class DenseLayer(nn.Module):
    """Norm, ReLU, 1x1, norm, ReLU, 3x3; its output is appended to its input."""

    def __init__(self, inputs: int, growth: int, dilation: int) -> None:
        """Build a layer that appends ``growth`` channels to ``inputs``."""
        super().__init__()
        self.path = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, 4 * growth, 1, bias=False),
            nn.BatchNorm2d(4 * growth),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * growth, growth, 3, 1, dilation, dilation, bias=False),
        )

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, inputs, y, x) to (batch, inputs + growth, y, x)."""
        return torch.cat([features, self.path(features)], dim=1)


class DenseNetEncoder(nn.Module):
    """The convolutions of DenseNet-121; ``channels`` are those of its shallow (1/4) and its deep features (1/16)."""

    def __init__(self, in_channels: int, *, growth: int = 32) -> None:
        """Build the blocks; ``growth`` is per layer, 32 as published, and the stem has twice as many channels."""
        super().__init__()
        width = 2 * growth
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, 2, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        shallow = 0
        for block, layers in enumerate(_BLOCKS):
            dilation = 2 if block == 3 else 1
            self.blocks.append(
                nn.Sequential(*(DenseLayer(width + i * growth, growth, dilation) for i in range(layers)))
            )
            width += layers * growth
            shallow = shallow or width
            if block < 3:
                self.transitions.append(_transition(width, pooled=block < 2))
                width //= 2
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.channels = (shallow, width)

    @override
    def forward(self, slices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map (batch, in_channels, y, x) to the first block's features at 1/4, and the last one's at 1/16."""
        shallow = features = self.blocks[0](self.stem(slices))
        for transition, block in zip(self.transitions, list(self.blocks)[1:], strict=True):
            features = block(transition(features))
        return shallow, self.norm(features)


def _transition(inputs: int, *, pooled: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, inputs // 2, 1, bias=False),
        nn.AvgPool2d(2, 2) if pooled else nn.Identity(),
    )

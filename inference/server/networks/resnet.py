"""Residual encoders (He et al., CVPR 2016): ResNet34 of basic blocks and ResNet-50 of bottlenecks, in five stages."""

import torch
from torch import nn
from torch.nn import functional
from typing_extensions import override


class BasicBlock(nn.Module):
    """Two 3x3 convolutions plus the identity, which is a convolution where size or width changes."""

    expansion = 1

    def __init__(self, inputs: int, width: int, *, stride: int = 1, dilation: int = 1) -> None:
        """Build a block: ``inputs`` channels in, ``width`` out, at 1 / ``stride`` of the size."""
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, width, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut = _shortcut(inputs, width, stride)

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, inputs, y, x) to (batch, width, y / stride, x / stride)."""
        return functional.relu(self.residual(features) + self.shortcut(features))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions plus the identity; four times ``width`` channels out."""

    expansion = 4

    def __init__(self, inputs: int, width: int, *, stride: int = 1, dilation: int = 1) -> None:
        """Build a block: ``inputs`` channels in, ``4 * width`` out, at 1 / ``stride`` of the size; the 3x3 strides."""
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        self.shortcut = _shortcut(inputs, 4 * width, stride)

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, inputs, y, x) to (batch, 4 * width, y / stride, x / stride)."""
        return functional.relu(self.residual(features) + self.shortcut(features))


class ResNetEncoder(nn.Module):
    """A 7x7 convolution of stride 2, pooling, and four stages of blocks; ``output_stride`` 16 dilates the last."""

    def __init__(
        self,
        in_channels: int,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: tuple[int, int, int, int],
        *,
        width: int = 64,
        output_stride: int = 32,
    ) -> None:
        """Build the stages, each of ``blocks`` blocks; the first has ``width`` channels."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.ModuleList()
        self.channels = [width]
        for stage, count in enumerate(blocks):
            last_dilated = stage == 3 and output_stride == 16
            layers: list[nn.Module] = []
            for i in range(count):
                inputs = self.channels[-1] if i == 0 else block.expansion * width * 2**stage
                stride = 2 if i == 0 and stage > 0 and not last_dilated else 1
                layers.append(
                    block(inputs, width * 2**stage, stride=stride, dilation=2 if last_dilated else 1)
                )
            self.stages.append(nn.Sequential(*layers))
            self.channels.append(block.expansion * width * 2**stage)

    @override
    def forward(self, slices: torch.Tensor) -> list[torch.Tensor]:
        """Map (batch, in_channels, y, x) to the features of stages 1 to 5: 1/2, 1/4, 1/8, 1/16, 1/output_stride."""
        features = self.stem(slices)
        found = [features]
        features = self.pool(features)
        for stage in self.stages:
            features = stage(features)
            found.append(features)
        return found


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

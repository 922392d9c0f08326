"""DpnUNet: a dual-path network as the encoder of a U-Net (rectal CTV and organs at risk).

The study shows its architecture only as a picture ("dual-path-network (DPN) modules into the UNet"). Chosen: DPN-92
(Chen et al., NeurIPS 2017: a stem of 64, 3 + 4 + 20 + 3 blocks, 32 groups, dense increments 16, 32, 24 and 128,
bottleneck widths 96 x 2^k, pre-activation), its features as skips at every scale, and a U-Net's decoder. Five
slices in, as the same group states elsewhere; ``in_channels`` 1 and 3 are other interpretations.
"""

from dataclasses import dataclass

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.convolutions import doubled, two_convolutions


@dataclass(frozen=True, kw_only=True)
class DpnUnetConfig:
    """The parameters that define one network; ``stem`` 64 and ``groups`` 32 are DPN-92, half of each its half width."""

    in_channels: int = 5
    out_channels: int = 4
    stem: int = 64
    groups: int = 32
    blocks: tuple[int, ...] = (3, 4, 20, 3)
    increments: tuple[int, ...] = (16, 32, 24, 128)
    decoder_channels: tuple[int, ...] = (256, 128, 64, 64, 32)

    def __post_init__(self) -> None:
        """Refuse parameters from which no network can be built."""
        if not len(self.blocks) == len(self.increments) == len(self.decoder_channels) - 1:
            raise ValueError("a DpnUNet has as many increments as blocks, and one more decoder width")

    @property
    def multiple_yx(self) -> int:
        """Both axes of an input must be a multiple of this many pixels."""
        return int(2 ** (len(self.blocks) + 1))


@dataclass(frozen=True, kw_only=True)
class DualPathWidths:
    """The channels of a stage's blocks: inside, on the residual path, appended by each; and the groups of the 3x3."""

    bottleneck: int
    residual: int
    increment: int
    groups: int


class DualPathBlock(nn.Module):
    """1x1, grouped 3x3, 1x1; some output channels are added to the residual path, ``increment`` appended."""

    def __init__(self, inputs: int, widths: DualPathWidths, *, first: bool, stride: int) -> None:
        """Build a block; in the ``first`` of a stage, a projection makes the residual path and two dense increments."""
        super().__init__()
        self.residual = widths.residual
        inside, grown = widths.bottleneck, widths.residual + widths.increment
        self.project = _preactivated(inputs, grown + widths.increment, 1, stride=stride) if first else None
        self.path = nn.Sequential(
            _preactivated(inputs, inside, 1),
            _preactivated(inside, inside, 3, stride=stride, groups=widths.groups),
            _preactivated(inside, grown, 1),
        )

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, residual + dense, y, x) to (batch, residual + dense + increment, ...)."""
        kept = features if self.project is None else self.project(features)
        found = self.path(features)
        added = kept[:, : self.residual] + found[:, : self.residual]
        return torch.cat([added, kept[:, self.residual :], found[:, self.residual :]], dim=1)


class DpnEncoder(nn.Module):
    """The stem and the four stages of a dual-path network, without its classifier."""

    def __init__(self, config: DpnUnetConfig) -> None:
        """Build the stages; ``channels`` are those of the stem and of each stage."""
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(config.in_channels, config.stem, 7, 2, 3, bias=False),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.ModuleList()
        self.channels = [config.stem]
        for stage, (count, increment) in enumerate(zip(config.blocks, config.increments, strict=True)):
            widths = DualPathWidths(
                bottleneck=3 * config.groups * 2**stage,
                residual=4 * config.stem * 2**stage,
                increment=increment,
                groups=config.groups,
            )
            inputs = self.channels[-1]
            blocks: list[nn.Module] = []
            for i in range(count):
                blocks.append(
                    DualPathBlock(inputs, widths, first=i == 0, stride=2 if i == 0 and stage > 0 else 1)
                )
                inputs = widths.residual + (i + 3) * increment
            self.channels.append(inputs)
            self.stages.append(nn.Sequential(*blocks))
        self.last = nn.Sequential(nn.BatchNorm2d(self.channels[-1]), nn.ReLU(inplace=True))

    @override
    def forward(self, slices: torch.Tensor) -> list[torch.Tensor]:
        """Map (batch, in_channels, y, x) to features at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        features = self.stem(slices)
        found = [features]
        features = self.pool(features)
        for stage in self.stages:
            features = stage(features)
            found.append(features)
        found[-1] = self.last(found[-1])
        return found


class DpnUnet(nn.Module):
    """A stack of slices in, one logit per structure and pixel of the middle slice out."""

    def __init__(self, config: DpnUnetConfig) -> None:
        """Build both paths; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        self.encoder = DpnEncoder(config)
        skips = [*self.encoder.channels[-2::-1], 0]
        below = (self.encoder.channels[-1], *config.decoder_channels[:-1])
        self.decoder = nn.ModuleList(
            two_convolutions(a + skip, b, batch_norm=True)
            for a, skip, b in zip(below, skips, config.decoder_channels, strict=True)
        )
        self.head = nn.Conv2d(config.decoder_channels[-1], config.out_channels, 1)

    @override
    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, y, x) to logits (batch, out_channels, y, x)."""
        *skips, features = self.encoder(slices)
        for block in self.decoder:
            features = doubled(features)
            features = block(torch.cat([features, skips.pop()], dim=1) if skips else features)
        logits: torch.Tensor = self.head(features)
        return logits


def _preactivated(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
    )

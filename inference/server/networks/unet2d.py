"""The 2-D U-Net (Ronneberger et al., MICCAI 2015), with which the slice-wise networks are compared.

The studies give no widths: 64 to 1024 as first published, with batch norm; half as many for "Unetd2". Convolutions are
padded, so that the answer has the input's size.
"""

from dataclasses import dataclass

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.convolutions import two_convolutions


@dataclass(frozen=True, kw_only=True)
class Unet2dConfig:
    """The parameters that define one network."""

    in_channels: int = 1
    out_channels: int = 1
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024)
    batch_norm: bool = True

    @property
    def multiple_yx(self) -> int:
        """Both axes of an input must be a multiple of this many pixels."""
        return int(2 ** (len(self.channels) - 1))


class Unet2d(nn.Module):
    """Slices in, one logit per structure and pixel out."""

    def __init__(self, config: Unet2dConfig) -> None:
        """Build the levels; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        widths = config.channels
        levels = range(len(widths) - 1)
        inputs = (config.in_channels, *widths[:-1])
        self.encoder = nn.ModuleList(
            two_convolutions(a, b, batch_norm=config.batch_norm) for a, b in zip(inputs, widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.upward = nn.ModuleList(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2) for i in levels)
        self.decoder = nn.ModuleList(
            two_convolutions(2 * widths[i], widths[i], batch_norm=config.batch_norm) for i in levels
        )
        self.head = nn.Conv2d(widths[0], config.out_channels, 1)

    @override
    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, y, x) to logits (batch, out_channels, y, x)."""
        skipped = []
        features = slices
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else self.pool(features))
            skipped.append(features)
        for i in reversed(range(len(self.decoder))):
            features = self.decoder[i](torch.cat([self.upward[i](features), skipped[i]], dim=1))
        logits: torch.Tensor = self.head(features)
        return logits

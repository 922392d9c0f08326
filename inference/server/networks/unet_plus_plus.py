"""UNet++ (Zhou et al., DLMIA 2018): a U-Net whose skips pass through nested dense blocks, with deep supervision.

Widths 32 to 512, two convolutions per node and transposed convolutions as first published, there without batch norm
(its table: 9.04 million parameters). Node (i, j) lies at 1 / 2^i of the input's size and joins all nodes (i, 0..j-1)
with the doubled node (i + 1, j - 1).
"""

from dataclasses import dataclass

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.convolutions import two_convolutions


@dataclass(frozen=True, kw_only=True)
class UnetPlusPlusConfig:
    """The parameters that define one network."""

    in_channels: int = 5
    out_channels: int = 1
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    batch_norm: bool = False

    @property
    def multiple_yx(self) -> int:
        """Both axes of an input must be a multiple of this many pixels."""
        return int(2 ** (len(self.channels) - 1))


class UnetPlusPlus(nn.Module):
    """Slices in; logits at full size out, in training from all nested networks, otherwise from the deepest."""

    def __init__(self, config: UnetPlusPlusConfig) -> None:
        """Build the nodes; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        widths = config.channels
        depth = len(widths)
        inputs = (config.in_channels, *widths[:-1])
        self.pool = nn.MaxPool2d(2)
        self.nodes = nn.ModuleDict()
        self.upward = nn.ModuleDict()
        for i, width in enumerate(widths):
            self.nodes[f"{i}_0"] = two_convolutions(inputs[i], width, batch_norm=config.batch_norm)
            for j in range(1, depth - i):
                self.upward[f"{i}_{j}"] = nn.ConvTranspose2d(widths[i + 1], width, 2, 2)
                self.nodes[f"{i}_{j}"] = two_convolutions(
                    (j + 1) * width, width, batch_norm=config.batch_norm
                )
        self.heads = nn.ModuleList(nn.Conv2d(widths[0], config.out_channels, 1) for _ in range(depth - 1))

    @override
    def forward(self, slices: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Map (batch, in_channels, y, x) to logits (batch, out_channels, y, x); in training a tuple, deepest first."""
        depth = len(self.config.channels)
        found: dict[tuple[int, int], torch.Tensor] = {}
        features = slices
        for i in range(depth):
            features = self.nodes[f"{i}_0"](features if i == 0 else self.pool(features))
            found[i, 0] = features
        for j in range(1, depth):
            for i in range(depth - j):
                up = self.upward[f"{i}_{j}"](found[i + 1, j - 1])
                found[i, j] = self.nodes[f"{i}_{j}"](torch.cat([*(found[i, k] for k in range(j)), up], dim=1))
        if not self.training:
            logits: torch.Tensor = self.heads[-1](found[0, depth - 1])
            return logits
        return tuple(self.heads[j - 1](found[0, j]) for j in range(depth - 1, 0, -1))

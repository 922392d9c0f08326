"""A compact 3-D U-Net for volumes whose slices are finer than their pixels.

The design is the plain U-Net of Cicek et al. (MICCAI 2016) with two economies for processors without a GPU:
neighbouring slices are folded into channels, so that the widest feature maps have half the voxels and a voxel of
about the same size in every direction, and the finest level has one convolution instead of two.
"""

from dataclasses import dataclass

import torch
from torch import nn
from typing_extensions import override


@dataclass(frozen=True, kw_only=True)
class CompactUnet3dConfig:
    """The parameters that define one network; stored in contract.json, next to its weights."""

    in_channels: int = 2
    out_channels: int = 7
    slices_folded: int = 2
    channels: tuple[int, ...] = (16, 48, 96, 160)
    encoder_convolutions: tuple[int, ...] = (1, 2, 2, 2)
    decoder_convolutions: tuple[int, ...] = (1, 1, 2)

    @property
    def multiple_zyx(self) -> tuple[int, int, int]:
        """Each axis of an input must be a multiple of this many voxels."""
        halvings = 2 ** (len(self.channels) - 1)
        return self.slices_folded * halvings, halvings, halvings


class CompactUnet3d(nn.Module):
    """Intensity channels in, one logit per structure and voxel out; structures may overlap."""

    def __init__(self, config: CompactUnet3dConfig) -> None:
        """Build the levels; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        widths, fold = config.channels, config.slices_folded
        inputs = (config.in_channels * fold, *widths[:-1])
        self.encoder = nn.ModuleList(
            _level(inputs[i], widths[i], config.encoder_convolutions[i], stride=1 if i == 0 else 2)
            for i in range(len(widths))
        )
        self.upward = nn.ModuleList(
            nn.ConvTranspose3d(widths[i + 1], widths[i], 2, 2) for i in range(len(widths) - 1)
        )
        self.decoder = nn.ModuleList(
            _level(2 * widths[i], widths[i], config.decoder_convolutions[i], stride=1)
            for i in range(len(widths) - 1)
        )
        self.head = nn.Conv3d(widths[0], config.out_channels * fold, 1)

    @override
    def forward(self, intensities: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, z, y, x) to logits (batch, out_channels, z, y, x).

        Every axis must be a multiple of ``config.multiple_zyx``; torch raises RuntimeError otherwise.
        """
        features = _fold_slices(intensities, self.config.slices_folded)
        skipped = []
        for level in self.encoder:
            features = level(features)
            skipped.append(features)
        for i in reversed(range(len(self.decoder))):
            features = self.decoder[i](torch.cat([self.upward[i](features), skipped[i]], dim=1))
        return _unfold_slices(self.head(features), self.config.slices_folded)


def _level(inputs: int, outputs: int, convolutions: int, *, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(convolutions):
        layers += [
            nn.Conv3d(inputs if i == 0 else outputs, outputs, 3, stride if i == 0 else 1, 1, bias=False),
            nn.InstanceNorm3d(outputs, affine=True),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)


def _fold_slices(x: torch.Tensor, fold: int) -> torch.Tensor:
    b, c, z, y, w = x.shape
    return (
        x.reshape(b, c, z // fold, fold, y, w).permute(0, 1, 3, 2, 4, 5).reshape(b, c * fold, z // fold, y, w)
    )


def _unfold_slices(x: torch.Tensor, fold: int) -> torch.Tensor:
    b, c, z, y, w = x.shape
    return (
        x.reshape(b, c // fold, fold, z, y, w).permute(0, 1, 3, 2, 4, 5).reshape(b, c // fold, z * fold, y, w)
    )

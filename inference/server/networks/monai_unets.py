"""MONAI's UNet and BasicUNet with its weight names; the order of axes is that of the input."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from typing_extensions import override

from inference.server.networks.monai_blocks import Convolution, Layer, ResidualUnit, Size, Skip, Style


@dataclass(frozen=True, kw_only=True)
class MonaiUnetConfig:
    """Arguments of monai.networks.nets.UNet."""

    in_channels: int
    out_channels: int
    channels: tuple[int, ...]
    strides: tuple[Size, ...]
    kernel_size: Size = 3
    up_kernel_size: Size = 3
    num_res_units: int = 0
    act: Layer = "PRELU"
    norm: Layer = "INSTANCE"
    bias: bool = True


class MonaiUnet(nn.Module):
    """Nested from the top down: a level is a down layer, a skip round the levels below, and an up layer."""

    def __init__(self, config: MonaiUnetConfig) -> None:
        super().__init__()
        if len(config.channels) < 2 or len(config.strides) < len(config.channels) - 1:
            raise ValueError("a UNet has two or more entries of channels, and a stride between each two")
        self._config = config
        self._style = Style(act=config.act, normed=config.norm, bias=config.bias)
        self.model = self._level(config.in_channels, config.out_channels, 0)

    def _level(self, inside: int, outside: int, depth: int) -> nn.Module:
        config, here = self._config, self._config.channels[depth]
        stride, is_top = config.strides[depth], depth == 0
        below: nn.Module
        if depth + 2 < len(config.channels):
            below, joined = self._level(here, here, depth + 1), 2 * here
        else:
            deepest = config.channels[depth + 1]
            below, joined = self._down(here, deepest, 1), here + deepest
        return nn.Sequential(
            self._down(inside, here, stride),
            Skip(below),
            self._up(joined, outside, stride, is_top=is_top),
        )

    def _down(self, before: int, after: int, stride: Size) -> nn.Module:
        config = self._config
        if config.num_res_units > 0:
            return ResidualUnit(
                (before, after),
                kernel=config.kernel_size,
                stride=stride,
                subunits=config.num_res_units,
                style=self._style,
            )
        return Convolution(
            (before, after),
            kernel=config.kernel_size,
            stride=stride,
            style=self._style,
        )

    def _up(self, before: int, after: int, stride: Size, *, is_top: bool) -> nn.Module:
        config = self._config
        alone = is_top and config.num_res_units == 0
        up = Convolution(
            (before, after),
            kernel=config.up_kernel_size,
            stride=stride,
            style=self._style.alone() if alone else self._style,
            up=True,
        )
        if config.num_res_units == 0:
            return up
        unit = ResidualUnit(
            (after, after),
            kernel=config.kernel_size,
            stride=1,
            subunits=1,
            style=self._style,
            last_alone=is_top,
        )
        return nn.Sequential(up, unit)

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, x, y, z) to logits of the same size."""
        result: torch.Tensor = self.model(x)
        return result


@dataclass(frozen=True, kw_only=True)
class MonaiBasicUnetConfig:
    """Arguments of monai.networks.nets.BasicUNet, with transposed convolutions on the way up."""

    in_channels: int = 1
    out_channels: int = 2
    features: tuple[int, int, int, int, int, int] = (32, 32, 64, 128, 256, 32)
    act: Layer = ("LeakyReLU", {"negative_slope": 0.1, "inplace": True})
    norm: Layer = ("instance", {"affine": True})
    bias: bool = True


class MonaiBasicUnet(nn.Module):
    """Five levels: two convolutions each, maximum pooling down, transposed convolution up."""

    def __init__(self, config: MonaiBasicUnetConfig) -> None:
        super().__init__()
        f = config.features
        self.conv_0 = _two(config, config.in_channels, f[0])
        self.down_1, self.down_2 = _pooled(config, f[0], f[1]), _pooled(config, f[1], f[2])
        self.down_3, self.down_4 = _pooled(config, f[2], f[3]), _pooled(config, f[3], f[4])
        self.upcat_4 = _UpCat(config, (f[4], f[4] // 2), f[3], f[3])
        self.upcat_3 = _UpCat(config, (f[3], f[3] // 2), f[2], f[2])
        self.upcat_2 = _UpCat(config, (f[2], f[2] // 2), f[1], f[1])
        self.upcat_1 = _UpCat(config, (f[1], f[1]), f[0], f[5])
        self.final_conv = nn.Conv3d(f[5], config.out_channels, 1)

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, x, y, z) to logits of the same size."""
        levels = [self.conv_0(x)]
        for down in (self.down_1, self.down_2, self.down_3, self.down_4):
            levels.append(down(levels[-1]))
        found = levels.pop()
        for up in (self.upcat_4, self.upcat_3, self.upcat_2, self.upcat_1):
            found = up(found, levels.pop())
        result: torch.Tensor = self.final_conv(found)
        return result


class _UpCat(nn.Module):
    def __init__(self, config: MonaiBasicUnetConfig, up: tuple[int, int], skipped: int, after: int) -> None:
        super().__init__()
        self.upsample = nn.Sequential()
        self.upsample.add_module("deconv", nn.ConvTranspose3d(*up, 2, 2))
        self.convs = _two(config, skipped + up[1], after)

    @override
    def forward(self, x: torch.Tensor, skipped: torch.Tensor) -> torch.Tensor:
        """Enlarge ``x`` twofold, pad it to odd sizes, join it with the level's own features, and convolve."""
        found = self.upsample(x)
        lack = [int(n != m) for n, m in zip(skipped.shape[2:], found.shape[2:], strict=True)]
        pads = [pad for one in reversed(lack) for pad in (0, one)]
        found = functional.pad(found, pads, mode="replicate")
        result: torch.Tensor = self.convs(torch.cat([skipped, found], dim=1))
        return result


def _two(config: MonaiBasicUnetConfig, before: int, after: int) -> nn.Sequential:
    result = nn.Sequential()
    for number, channels in enumerate(((before, after), (after, after))):
        block = Convolution(channels, style=Style(act=config.act, normed=config.norm, bias=config.bias))
        result.add_module(f"conv_{number}", block)
    return result


def _pooled(config: MonaiBasicUnetConfig, before: int, after: int) -> nn.Sequential:
    result = nn.Sequential()
    result.add_module("max_pooling", nn.MaxPool3d(2))
    result.add_module("convs", _two(config, before, after))
    return result

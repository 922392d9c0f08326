"""MONAI's SegResNet and DynUNet with its weight names, without the heads that are used only in training."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.monai_blocks import (
    WITHOUT_BIAS,
    Convolution,
    Layer,
    Size,
    activation,
    norm,
    three,
)


@dataclass(frozen=True, kw_only=True)
class MonaiSegResNetConfig:
    """Arguments of monai.networks.nets.SegResNet."""

    init_filters: int = 8
    in_channels: int = 1
    out_channels: int = 2
    act: Layer = ("RELU", {"inplace": True})
    norm: Layer = ("GROUP", {"num_groups": 8})
    use_conv_final: bool = True
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    upsample_mode: Literal["nontrainable", "deconv"] = "nontrainable"


class MonaiSegResNet(nn.Module):
    """A residual encoder and a light decoder, whose skips are added."""

    def __init__(self, config: MonaiSegResNetConfig) -> None:
        super().__init__()
        first, ups = config.init_filters, len(config.blocks_up)
        self._ends = config.use_conv_final
        self.convInit = Convolution((config.in_channels, first), style=WITHOUT_BIAS)
        self.down_layers = nn.ModuleList()
        for level, blocks in enumerate(config.blocks_down):
            width = first * 2**level
            before = (
                Convolution((width // 2, width), stride=2, style=WITHOUT_BIAS) if level else nn.Identity()
            )
            self.down_layers.append(nn.Sequential(before, *(_PreBlock(width, config) for _ in range(blocks))))
        self.up_layers, self.up_samples = nn.ModuleList(), nn.ModuleList()
        for level, blocks in enumerate(config.blocks_up):
            width = first * 2 ** (ups - level)
            self.up_layers.append(nn.Sequential(*(_PreBlock(width // 2, config) for _ in range(blocks))))
            self.up_samples.append(
                nn.Sequential(
                    Convolution((width, width // 2), kernel=1, style=WITHOUT_BIAS),
                    _doubled(width // 2, config),
                )
            )
        self.conv_final = nn.Sequential(
            norm(config.norm, first),
            activation(config.act),
            Convolution((first, config.out_channels), kernel=1),
        )

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, x, y, z) to logits of the same size."""
        found = self.convInit(x)
        levels = []
        for down in self.down_layers:
            found = down(found)
            levels.append(found)
        levels.pop()
        for up, layer in zip(self.up_samples, self.up_layers, strict=True):
            found = layer(up(found) + levels.pop())
        result: torch.Tensor = self.conv_final(found) if self._ends else found
        return result


class _PreBlock(nn.Module):
    def __init__(self, width: int, config: MonaiSegResNetConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(config.norm, width), norm(config.norm, width)
        self.act = activation(config.act)
        self.conv1, self.conv2 = (Convolution((width, width), style=WITHOUT_BIAS) for _ in range(2))

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise, activate and convolve twice; then add the input."""
        found = self.conv1(self.act(self.norm1(x)))
        result: torch.Tensor = self.conv2(self.act(self.norm2(found))) + x
        return result


def _doubled(width: int, config: MonaiSegResNetConfig) -> nn.Module:
    result = nn.Sequential()
    if config.upsample_mode == "deconv":
        result.add_module("deconv", nn.ConvTranspose3d(width, width, 2, 2))
    else:
        up = nn.Upsample(scale_factor=2.0, mode="trilinear", align_corners=False)
        result.add_module("upsample_non_trainable", up)
    return result


@dataclass(frozen=True, kw_only=True)
class MonaiDynUnetConfig:
    """Arguments of monai.networks.nets.DynUNet."""

    in_channels: int
    out_channels: int
    kernel_size: tuple[Size, ...]
    strides: tuple[Size, ...]
    upsample_kernel_size: tuple[Size, ...]
    filters: tuple[int, ...] | None = None
    norm_name: Layer = ("INSTANCE", {"affine": True})
    act_name: Layer = ("leakyrelu", {"inplace": True, "negative_slope": 0.01})
    res_block: bool = False
    trans_bias: bool = False


class MonaiDynUnet(nn.Module):
    """nnU-Net's network as MONAI builds it."""

    def __init__(self, config: MonaiDynUnetConfig) -> None:
        super().__init__()
        if not 3 <= len(config.strides) == len(config.kernel_size) == len(config.upsample_kernel_size) + 1:
            raise ValueError(
                "a DynUNet has three or more kernels, as many strides, and one upsampling kernel fewer"
            )
        widths = config.filters or tuple(min(2 ** (5 + i), 320) for i in range(len(config.strides)))
        widths = widths[: len(config.strides)]
        kernels, strides = config.kernel_size, config.strides
        self.input_block = _Block(config, (config.in_channels, widths[0]), kernels[0], strides[0])
        self.downsamples = nn.ModuleList(
            _Block(config, (widths[i - 1], widths[i]), kernels[i], strides[i])
            for i in range(1, len(widths) - 1)
        )
        self.bottleneck = _Block(config, (widths[-2], widths[-1]), kernels[-1], strides[-1])
        self.upsamples = nn.ModuleList(
            _UpBlock(config, (widths[i], widths[i - 1]), kernels[i], config.upsample_kernel_size[i - 1])
            for i in range(len(widths) - 1, 0, -1)
        )
        self.output_block = nn.Module()
        self.output_block.add_module("conv", Convolution((widths[0], config.out_channels), kernel=1))

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (batch, channel, x, y, z) to logits of the input's size over the first stride."""
        levels = [self.input_block(x)]
        for down in self.downsamples:
            levels.append(down(levels[-1]))
        found = self.bottleneck(levels[-1])
        for up in self.upsamples:
            found = up(found, levels.pop())
        result: torch.Tensor = self.output_block.get_submodule("conv")(found)
        return result


class _Block(nn.Module):
    def __init__(
        self,
        config: MonaiDynUnetConfig,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size,
        *,
        residual: bool | None = None,
    ) -> None:
        super().__init__()
        width = channels[1]
        self.conv1 = _padded(channels, kernel, stride)
        self.conv2 = _padded((width, width), kernel, 1)
        self.lrelu = activation(config.act_name)
        self.norm1, self.norm2 = norm(config.norm_name, width), norm(config.norm_name, width)
        self._adds = config.res_block if residual is None else residual
        if self._adds and (channels[0] != width or three(stride) != (1, 1, 1)):
            self.conv3 = _padded(channels, 1, stride)
            self.norm3 = norm(config.norm_name, width)

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve twice; in a residual block, add the input (convolved where its size or channels change)."""
        found = self.norm2(self.conv2(self.lrelu(self.norm1(self.conv1(x)))))
        if self._adds:
            found = found + (self.norm3(self.conv3(x)) if hasattr(self, "conv3") else x)
        result: torch.Tensor = self.lrelu(found)
        return result


class _UpBlock(nn.Module):
    def __init__(self, config: MonaiDynUnetConfig, channels: tuple[int, int], kernel: Size, up: Size) -> None:
        super().__init__()
        self.transp_conv = nn.Sequential()
        self.transp_conv.add_module(
            "conv", nn.ConvTranspose3d(*channels, three(up), three(up), bias=config.trans_bias)
        )
        self.conv_block = _Block(config, (2 * channels[1], channels[1]), kernel, 1, residual=False)

    @override
    def forward(self, x: torch.Tensor, skipped: torch.Tensor) -> torch.Tensor:
        """Enlarge ``x``, join it with the level's own features, and convolve."""
        result: torch.Tensor = self.conv_block(torch.cat([self.transp_conv(x), skipped], dim=1))
        return result


def _padded(channels: tuple[int, int], kernel: Size, stride: Size) -> nn.Sequential:
    """Return a convolution with nnU-Net's padding: half of (kernel - stride + 1)."""
    sizes, steps = three(kernel), three(stride)
    pads = [(k - s + 1) // 2 for k, s in zip(sizes, steps, strict=True)]
    result = nn.Sequential()
    result.add_module("conv", nn.Conv3d(*channels, sizes, steps, (pads[0], pads[1], pads[2]), bias=False))
    return result

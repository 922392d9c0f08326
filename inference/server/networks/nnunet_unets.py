"""The two networks that nnU-Net v2 plans: PlainConvUNet and ResidualEncoderUNet, with their weight names.

Built from plans.json alone. Tensor names are those of dynamic_network_architectures 0.4, without the
second names that each of its tensors has (``all_modules``, ``decoder.encoder``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from typing_extensions import override

Sizes = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class NnunetConfig:
    """The parameters that define one network; ``kernels``, ``strides`` and ``blocks`` have one entry per stage."""

    in_channels: int = 1
    out_channels: int = 2
    features: tuple[int, ...] = (32, 64)
    kernels: tuple[Sizes, ...] = ((3, 3, 3), (3, 3, 3))
    strides: tuple[Sizes, ...] = ((1, 1, 1), (2, 2, 2))
    blocks: tuple[int, ...] = (2, 2)  # convolutions, or residual blocks, of each stage of the encoder
    decoder_blocks: tuple[int, ...] = (2,)
    bias: bool = True
    norm: Literal["instance", "batch", "none"] = "instance"
    norm_eps: float = 1e-5
    norm_affine: bool = True
    negative_slope: float | None = 0.01  # of LeakyReLU; None: ReLU
    activation_first: bool = False

    def __post_init__(self) -> None:
        """Refuse parameters that do not fit each other."""
        stages, dimensions = len(self.features), self.dimensions
        if not len(self.kernels) == len(self.strides) == len(self.blocks) == stages:
            raise ValueError(f"kernels, strides, blocks and features do not all have {stages} stages")
        if len(self.decoder_blocks) != stages - 1:
            raise ValueError(f"decoder_blocks has {len(self.decoder_blocks)} entries, expected {stages - 1}")
        if dimensions not in (2, 3) or any(
            len(sizes) != dimensions for sizes in (*self.kernels, *self.strides)
        ):
            raise ValueError("kernels and strides have two axes each, or three each")

    @property
    def dimensions(self) -> int:
        """The number of spatial axes, 2 or 3."""
        return len(self.kernels[0])


class ConvBlock(nn.Module):
    """Convolution, norm, activation; without activation where it is the last of a residual block."""

    def __init__(
        self,
        config: NnunetConfig,
        inputs: int,
        outputs: int,
        kernel: Sizes,
        *,
        stride: Sizes | None = None,
        plain: bool = False,
    ) -> None:
        """Build a block; ``plain`` has no activation and, if it is a projection (a kernel of one), no bias."""
        super().__init__()
        convolution = nn.Conv2d if config.dimensions == 2 else nn.Conv3d
        self.conv = convolution(
            inputs,
            outputs,
            kernel,  # type: ignore[arg-type]
            stride or 1,  # type: ignore[arg-type]
            padding=[(size - 1) // 2 for size in kernel],  # type: ignore[arg-type]
            bias=config.bias and not (plain and set(kernel) == {1}),
        )
        if config.norm != "none":
            self.norm = _norm(config, outputs)
        self.activation = None if plain else activation(config)
        self.activation_first = config.activation_first

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.conv(features)
        steps = [step for step in (self._modules.get("norm"), self.activation) if step is not None]
        for step in reversed(steps) if self.activation_first else steps:
            features = step(features)
        return features


class ConvStack(nn.Module):
    """Convolution blocks one after the other; the first one strides."""

    def __init__(
        self,
        config: NnunetConfig,
        channels: tuple[int, int],
        kernel: Sizes,
        count: int,
        stride: Sizes | None = None,
    ) -> None:
        """Build ``count`` blocks; ``channels``: in and out."""
        super().__init__()
        inputs, outputs = channels
        blocks = [ConvBlock(config, inputs, outputs, kernel, stride=stride)]
        blocks += [ConvBlock(config, outputs, outputs, kernel) for _ in range(count - 1)]
        self.convs = nn.Sequential(*blocks)

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        stacked: torch.Tensor = self.convs(features)
        return stacked


class NnunetResidualBlock(nn.Module):
    """Two convolutions and a skip that pools where they stride and projects where channels change (ResNet-D)."""

    def __init__(
        self, config: NnunetConfig, inputs: int, outputs: int, kernel: Sizes, stride: Sizes | None
    ) -> None:
        """Build a block; ``stride`` is the first convolution's, None for 1."""
        super().__init__()
        self.conv1 = ConvBlock(config, inputs, outputs, kernel, stride=stride)
        self.conv2 = ConvBlock(config, outputs, outputs, kernel, plain=True)
        skip: list[nn.Module] = []
        if stride is not None and any(step != 1 for step in stride):
            pool = nn.AvgPool2d if config.dimensions == 2 else nn.AvgPool3d
            skip.append(pool(stride, stride))  # type: ignore[arg-type]
        if inputs != outputs:
            point = (1,) * config.dimensions
            skip.append(ConvBlock(config, inputs, outputs, point, plain=True))
        self.skip = nn.Sequential(*skip)
        self.activation = activation(config)

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        residual = self.skip(features)
        found = self.conv2(self.conv1(features))
        found += residual
        answer: torch.Tensor = self.activation(found)
        return answer


class PlainEncoder(nn.Module):
    """Stacks of convolutions; returns the features of every stage."""

    def __init__(self, config: NnunetConfig) -> None:
        """Build one stack per stage, in a sequence of one, as its weight names require."""
        super().__init__()
        inputs = (config.in_channels, *config.features[:-1])
        self.stages = nn.Sequential(
            *(
                nn.Sequential(ConvStack(config, (inputs[i], width), kernel, count, stride))
                for i, (width, kernel, count, stride) in enumerate(
                    zip(config.features, config.kernels, config.blocks, config.strides, strict=True)
                )
            )
        )

    @override
    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return _each_stage(self.stages, image)


class ResidualStage(nn.Module):
    """Residual blocks one after the other; the first one strides."""

    def __init__(
        self, config: NnunetConfig, channels: tuple[int, int], kernel: Sizes, count: int, stride: Sizes
    ) -> None:
        """Build ``count`` blocks; ``channels``: in and out."""
        super().__init__()
        inputs, outputs = channels
        blocks = [NnunetResidualBlock(config, inputs, outputs, kernel, stride)]
        blocks += [NnunetResidualBlock(config, outputs, outputs, kernel, None) for _ in range(count - 1)]
        self.blocks = nn.Sequential(*blocks)

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.blocks(features)
        return found


class ResidualEncoder(nn.Module):
    """A stem and stages of residual blocks; returns the features of every stage."""

    def __init__(self, config: NnunetConfig) -> None:
        """Build the stages and the stem, which has as many channels as the first stage."""
        super().__init__()
        first = config.features[0]
        self.stem = ConvStack(config, (config.in_channels, first), config.kernels[0], 1)
        inputs = (first, *config.features[:-1])
        self.stages = nn.Sequential(
            *(
                ResidualStage(config, (inputs[i], width), kernel, count, stride)
                for i, (width, kernel, count, stride) in enumerate(
                    zip(config.features, config.kernels, config.blocks, config.strides, strict=True)
                )
            )
        )

    @override
    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return _each_stage(self.stages, self.stem(image))


class UnetDecoder(nn.Module):
    """Transposed convolutions, skips and stacks from the deepest stage up; the last ``seg_layers`` gives the logits."""

    def __init__(self, config: NnunetConfig) -> None:
        """Build the levels; the weights of the other ``seg_layers``, for deep supervision, are loaded but not used."""
        super().__init__()
        up = nn.ConvTranspose2d if config.dimensions == 2 else nn.ConvTranspose3d
        head = nn.Conv2d if config.dimensions == 2 else nn.Conv3d
        stages, transposed, heads = [], [], []
        for i in range(1, len(config.features)):
            below, width, stride = config.features[-i], config.features[-i - 1], config.strides[-i]
            transposed.append(up(below, width, stride, stride, bias=config.bias))  # type: ignore[arg-type]
            stages.append(
                ConvStack(config, (2 * width, width), config.kernels[-i - 1], config.decoder_blocks[i - 1])
            )
            heads.append(head(width, config.out_channels, 1))
        self.stages = nn.ModuleList(stages)
        self.transpconvs = nn.ModuleList(transposed)
        self.seg_layers = nn.ModuleList(heads)

    @override
    def forward(self, skips: Sequence[torch.Tensor]) -> torch.Tensor:
        features = skips[-1]
        for i, (up, stage) in enumerate(zip(self.transpconvs, self.stages, strict=True)):
            features = stage(torch.cat((up(features), skips[-i - 2]), 1))
        logits: torch.Tensor = self.seg_layers[-1](features)
        return logits


class PlainConvUnet(nn.Module):
    """nnU-Net's PlainConvUNet: from (batch, channel, ...) to logits (batch, head, ...)."""

    def __init__(self, config: NnunetConfig) -> None:
        """Build encoder and decoder; weights are random until a state is loaded."""
        super().__init__()
        self.encoder = PlainEncoder(config)
        self.decoder = UnetDecoder(config)

    @override
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.decoder(self.encoder(image))
        return logits


class ResidualEncoderUnet(nn.Module):
    """nnU-Net's ResidualEncoderUNet: from (batch, channel, ...) to logits (batch, head, ...)."""

    def __init__(self, config: NnunetConfig) -> None:
        """Build encoder and decoder; weights are random until a state is loaded."""
        super().__init__()
        self.encoder = ResidualEncoder(config)
        self.decoder = UnetDecoder(config)

    @override
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.decoder(self.encoder(image))
        return logits


def activation(config: NnunetConfig) -> nn.Module:
    """Return the activation that the configuration names."""
    slope = config.negative_slope
    return nn.ReLU(inplace=True) if slope is None else nn.LeakyReLU(slope, inplace=True)


def _each_stage(stages: nn.Sequential, features: torch.Tensor) -> list[torch.Tensor]:
    found = []
    for stage in stages:
        features = stage(features)
        found.append(features)
    return found


def _norm(config: NnunetConfig, channels: int) -> nn.Module:
    if config.norm == "batch":
        batch = nn.BatchNorm2d if config.dimensions == 2 else nn.BatchNorm3d
        return batch(channels, eps=config.norm_eps, affine=config.norm_affine)
    instance = nn.InstanceNorm2d if config.dimensions == 2 else nn.InstanceNorm3d
    return instance(channels, eps=config.norm_eps, affine=config.norm_affine)

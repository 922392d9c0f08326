"""The backbone of SOARS: a residual 3-D U-Net in which each block has its own kind of convolution.

As stated in the study: five encoding and four decoding blocks; in a block, convolutions of one kind with instance norm
and leaky ReLU and a residual connection, then 2x2x2 max pooling; 2x2x2 up-sampling before each decoding block. The
kinds are 2-D, 3-D and pseudo-3-D (in plane, then along z) with kernels of 3 or 5. Not stated there, chosen here: two
convolutions per block; a 1x1x1 projection where the channels change; pooling after blocks 1 to 4 only (five would leave
nothing to restore the size); transposed convolutions and 32, 64, 128, 256, 320 channels as in nnU-Net. The different
wording in its Methods (batch norm, ReLU, convolution, in this order) is ``norm="batch", preactivation=True``.

The same network with linear outputs is the heat-map detector of the small organs; it is not searched.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from typing_extensions import override

Norm = Literal["instance", "batch"]
Kernel = tuple[int, int, int]

# kernels along (z, y, x), applied in sequence
OPERATIONS: dict[str, tuple[Kernel, ...]] = {
    "2d3": ((1, 3, 3),),
    "2d5": ((1, 5, 5),),
    "3d3": ((3, 3, 3),),
    "3d5": ((5, 5, 5),),
    "p3d3": ((1, 3, 3), (3, 1, 1)),
    "p3d5": ((1, 5, 5), (5, 1, 1)),
}


@dataclass(frozen=True, kw_only=True)
class SoarsUnetConfig:
    """The parameters that define one network: ``operations`` of the encoding blocks, then of the decoding ones.

    With "3d3" throughout, it is the plain network before a search.
    """

    in_channels: int = 1
    out_channels: int = 9
    channels: tuple[int, ...] = (32, 64, 128, 256, 320)
    operations: tuple[str, ...] = ("3d3",) * 9
    norm: Norm = "instance"
    preactivation: bool = False

    def __post_init__(self) -> None:
        """Refuse parameters from which no network can be built."""
        if len(self.operations) != self.blocks:
            raise ValueError(
                f"{self.blocks} blocks need {self.blocks} operations, not {len(self.operations)}"
            )
        unknown = sorted(set(self.operations) - set(OPERATIONS))
        if unknown:
            raise ValueError(f"there is no operation {unknown[0]!r}; there are {', '.join(OPERATIONS)}")
        if self.norm not in ("instance", "batch"):
            raise ValueError(f"norm is instance or batch, not {self.norm!r}")

    @property
    def blocks(self) -> int:
        """The number of encoding and decoding blocks together."""
        return 2 * len(self.channels) - 1

    @property
    def multiple_zyx(self) -> tuple[int, int, int]:
        """Each axis of an input must be a multiple of this many voxels."""
        halvings = 2 ** (len(self.channels) - 1)
        return halvings, halvings, halvings


MakeOperation = Callable[[int, int, int], nn.Module]  # block, channels in, channels out


class ResidualBlock(nn.Module):
    """Two operations in sequence, plus the identity or a 1x1x1 projection."""

    def __init__(self, inputs: int, outputs: int, make: Callable[[int, int], nn.Module]) -> None:
        """Build a block; ``make`` makes an operation from its channels in and out."""
        super().__init__()
        self.first = make(inputs, outputs)
        self.second = make(outputs, outputs)
        self.project: nn.Module = nn.Identity() if inputs == outputs else nn.Conv3d(inputs, outputs, 1)

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, inputs, z, y, x) to (batch, outputs, z, y, x)."""
        found: torch.Tensor = self.second(self.first(features)) + self.project(features)
        return found


class SoarsUnet(nn.Module):
    """CT, with or without probability maps of other organs, in; one logit or heat value per organ and voxel out."""

    def __init__(self, config: SoarsUnetConfig, make: MakeOperation | None = None) -> None:
        """Build the blocks; ``make`` replaces the operations of ``config`` (in a search)."""
        super().__init__()
        self.config = config
        put = make or self._chosen
        widths = config.channels
        deepest = len(widths) - 1
        inputs = (config.in_channels, *widths[:-1])
        self.encoder = nn.ModuleList(_block(i, inputs[i], widths[i], put) for i in range(len(widths)))
        self.upward = nn.ModuleList(
            nn.ConvTranspose3d(widths[i + 1], widths[i], 2, 2) for i in reversed(range(deepest))
        )
        self.decoder = nn.ModuleList(
            _block(2 * deepest - i, 2 * widths[i], widths[i], put) for i in reversed(range(deepest))
        )
        self.head = nn.Conv3d(widths[0], config.out_channels, 1)

    @override
    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, z, y, x) to logits (batch, out_channels, z, y, x)."""
        skipped = []
        features = channels
        for level, block in enumerate(self.encoder):
            features = block(features if level == 0 else functional.max_pool3d(features, 2))
            skipped.append(features)
        skipped.pop()
        for up, block in zip(self.upward, self.decoder, strict=True):
            features = block(torch.cat([up(features), skipped.pop()], dim=1))
        logits: torch.Tensor = self.head(features)
        return logits

    def _chosen(self, block: int, inputs: int, outputs: int) -> nn.Module:
        config = self.config
        return operation(
            config.operations[block], inputs, outputs, norm=config.norm, preactivation=config.preactivation
        )


def operation(name: str, inputs: int, outputs: int, *, norm: Norm, preactivation: bool) -> nn.Sequential:
    """Return one operation of the search space: per kernel, convolution, norm and activation, or the reverse."""
    layers: list[nn.Module] = []
    for i, kernel in enumerate(OPERATIONS[name]):
        seen = inputs if i == 0 else outputs
        convolution = nn.Conv3d(
            seen, outputs, kernel, padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        )
        if preactivation:
            layers += [_norm(norm, seen), nn.ReLU(), convolution]
        else:
            layers += [convolution, _norm(norm, outputs), nn.LeakyReLU(0.01, inplace=True)]
    return nn.Sequential(*layers)


def _norm(norm: Norm, channels: int) -> nn.Module:
    return nn.InstanceNorm3d(channels, affine=True) if norm == "instance" else nn.BatchNorm3d(channels)


def _block(index: int, inputs: int, outputs: int, put: MakeOperation) -> ResidualBlock:
    return ResidualBlock(inputs, outputs, lambda a, b: put(index, a, b))

"""Building blocks of MONAI's networks in three dimensions, with MONAI's weight names, so that its state dicts load.

Layers are chosen from short tables; dropout is left out, because it has no effect after training.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from typing_extensions import override

Layer = str | tuple[str, dict[str, float | int | bool]]
"""A layer by its name, or by name and arguments, as MONAI's configurations have it."""
Size = int | tuple[int, int, int]

_ACTIVATIONS: Mapping[str, Callable[..., nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leakyrelu": nn.LeakyReLU,
    "mish": nn.Mish,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
}
_NORMS: Mapping[str, Callable[..., nn.Module]] = {
    "batch": lambda channels, **how: nn.BatchNorm3d(channels, **how),
    "group": lambda channels, num_groups=1, **how: nn.GroupNorm(num_groups, channels, **how),
    "instance": lambda channels, **how: nn.InstanceNorm3d(channels, **how),
}
_ARGUMENTS = frozenset(
    {"affine", "alpha", "approximate", "eps", "init", "inplace", "momentum", "negative_slope", "num_groups"}
    | {"num_parameters", "track_running_stats"}
)


def activation(spec: Layer) -> nn.Module:
    """Return an activation by name; ValueError for one that is not in the table."""
    name, how = _named(spec, _ACTIVATIONS, "activation")
    return _ACTIVATIONS[name](**how)


def norm(spec: Layer, channels: int) -> nn.Module:
    """Return a normalisation of ``channels`` channels by name; ValueError for one that is not in the table."""
    name, how = _named(spec, _NORMS, "normalisation")
    return _NORMS[name](channels, **how)


def _named(spec: Layer, table: Mapping[str, Any], what: str) -> tuple[str, dict[str, Any]]:
    name, how = (spec, {}) if isinstance(spec, str) else spec
    if name.lower() not in table:
        raise ValueError(f"there is no {what} {name!r}; there are: {', '.join(sorted(table))}")
    unknown = sorted(set(how) - _ARGUMENTS)
    if unknown:
        raise ValueError(f"the {what} {name} has no arguments {unknown}")
    return name.lower(), dict(how)


def same(kernel: Size) -> tuple[int, int, int]:
    """Return the padding that keeps the size at stride 1."""
    a, b, c = three(kernel)
    return (a - 1) // 2, (b - 1) // 2, (c - 1) // 2


def three(size: Size) -> tuple[int, int, int]:
    """Return one number per axis."""
    return (size, size, size) if isinstance(size, int) else size


class Adn(nn.Sequential):
    """MONAI's ADN in its order NDA without the dropout: normalisation N, activation A."""

    def __init__(self, channels: int, act: Layer | None, normed: Layer | None) -> None:
        super().__init__()
        if normed is not None:
            self.add_module("N", norm(normed, channels))
        if act is not None:
            self.add_module("A", activation(act))


@dataclass(frozen=True, kw_only=True)
class Style:
    """What all convolutions of a network have in common: activation, normalisation, bias."""

    act: Layer | None = None
    normed: Layer | None = None
    bias: bool = True

    def alone(self) -> "Style":
        """Return the same style without activation and normalisation."""
        return Style(bias=self.bias)


PLAIN, WITHOUT_BIAS = Style(), Style(bias=False)


class Convolution(nn.Sequential):
    """MONAI's Convolution: ``conv``, and ``adn`` where there is an activation or a normalisation."""

    def __init__(
        self,
        channels: tuple[int, int],
        *,
        kernel: Size = 3,
        stride: Size = 1,
        style: Style = PLAIN,
        up: bool = False,
    ) -> None:
        super().__init__()
        steps, pads = three(stride), same(kernel)
        if up:
            extra = (steps[0] - 1, steps[1] - 1, steps[2] - 1)
            self.add_module(
                "conv",
                nn.ConvTranspose3d(
                    *channels, three(kernel), steps, pads, output_padding=extra, bias=style.bias
                ),
            )
        else:
            self.add_module("conv", nn.Conv3d(*channels, three(kernel), steps, pads, bias=style.bias))
        if style.act is not None or style.normed is not None:
            self.add_module("adn", Adn(channels[1], style.act, style.normed))


class ResidualUnit(nn.Module):
    """MONAI's ResidualUnit: ``conv.unit0`` ... plus ``residual``, a convolution where size or channels change."""

    def __init__(
        self,
        channels: tuple[int, int],
        *,
        kernel: Size,
        stride: Size,
        subunits: int,
        style: Style,
        last_alone: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        before, after = channels
        for unit in range(subunits):
            alone = last_alone and unit == subunits - 1
            self.conv.add_module(
                f"unit{unit}",
                Convolution(
                    (before, after),
                    kernel=kernel,
                    stride=stride if unit == 0 else 1,
                    style=style.alone() if alone else style,
                ),
            )
            before = after
        moves = math.prod(three(stride)) != 1
        self.residual: nn.Module = nn.Identity()
        if moves or channels[0] != channels[1]:
            size = three(kernel) if moves else (1, 1, 1)
            pads = same(kernel) if moves else (0, 0, 0)
            self.residual = nn.Conv3d(*channels, size, three(stride), pads, bias=style.bias)

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the residual to the convolutions."""
        result: torch.Tensor = self.conv(x) + self.residual(x)
        return result


class Skip(nn.Module):
    """MONAI's SkipConnection: the input joined with the output of ``submodule``."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Concatenate along the channels."""
        return torch.cat([x, self.submodule(x)], dim=1)

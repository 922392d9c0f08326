"""M-Net and the variants of the cervical CTV study (Huang et al., TCRT 2023): Mnet_Im and its ablations.

Widths 32 to 512 and side inputs of 64, 128 and 256 channels are those of M-Net's authors (Fu et al., TMI 2018), whose
layers have no norm. Each side input is a convolution of the average-pooled slices, joined with the features of its
scale. There are two endings:

- ``mean`` (M-Net): the outputs at 1/8, 1/4, 1/2 and 1 are brought to full size and their probabilities averaged.
- ``progressive`` (Mnet_Im, Unet_mo): the output of each scale, one more at 1/16 included, is doubled and added to the
  next finer one; sums are of logits, the finest sum is the prediction.

| name | side inputs | ending |
|---|---|---|
| M-Net | 64, 128, 256 | mean |
| WideMnet | all widths twice | mean |
| Mnet_64, Mnet_32 | 64 or 32 at each scale | mean |
| Mnet_Im | 64 at each scale, 1/16 too | progressive |
| Unet_mo | none | progressive |
"""

import itertools
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from typing_extensions import override

from inference.server.networks.convolutions import conv_relu, doubled, resized, two_convolutions

Ending = Literal["mean", "progressive"]
_EPSILON = 1e-6


@dataclass(frozen=True, kw_only=True)
class MnetConfig:
    """The parameters that define one network; the defaults are Mnet_Im.

    ``side_inputs`` are the channels of the side inputs at 1/2, 1/4, ...; with fewer than the scales, the coarsest have
    none, and an empty tuple makes a U-Net's encoder.
    """

    in_channels: int = 5
    out_channels: int = 1
    channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    side_inputs: tuple[int, ...] = (64, 64, 64, 64)
    ending: Ending = "progressive"

    def __post_init__(self) -> None:
        """Refuse parameters from which no network can be built."""
        if len(self.side_inputs) >= len(self.channels):
            raise ValueError(
                f"{len(self.channels)} scales allow {len(self.channels) - 1} side inputs or fewer"
            )
        if self.ending not in ("mean", "progressive"):
            raise ValueError(f"ending is mean or progressive, not {self.ending!r}")

    @property
    def multiple_yx(self) -> int:
        """Both axes of an input must be a multiple of this many pixels."""
        return int(2 ** (len(self.channels) - 1))


MNET_VARIANTS: dict[str, MnetConfig] = {
    "mnet": MnetConfig(side_inputs=(64, 128, 256), ending="mean"),
    "wide_mnet": MnetConfig(channels=(64, 128, 256, 512, 1024), side_inputs=(128, 256, 512), ending="mean"),
    "mnet_64": MnetConfig(side_inputs=(64, 64, 64), ending="mean"),
    "mnet_32": MnetConfig(side_inputs=(32, 32, 32), ending="mean"),
    "mnet_im": MnetConfig(),
    "unet_mo": MnetConfig(side_inputs=()),
}


class Mnet(nn.Module):
    """A stack of slices in, one logit per structure and pixel of the middle slice out."""

    def __init__(self, config: MnetConfig) -> None:
        """Build the levels; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        widths = config.channels
        sides = (0, *config.side_inputs, *(0,) * (len(widths) - 1 - len(config.side_inputs)))
        below = (config.in_channels, *widths[:-1])
        self.side_inputs = nn.ModuleList(conv_relu(config.in_channels, side) for side in config.side_inputs)
        self.encoder = nn.ModuleList(
            two_convolutions(a + side, b, batch_norm=False)
            for a, side, b in zip(below, sides, widths, strict=True)
        )
        self.upward = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in itertools.pairwise(widths))
        self.decoder = nn.ModuleList(two_convolutions(2 * a, a, batch_norm=False) for a in widths[:-1])
        outputs = widths if config.ending == "progressive" else widths[:-1]
        self.side_outputs = nn.ModuleList(nn.Conv2d(width, config.out_channels, 1) for width in outputs)

    @override
    def forward(self, slices: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Map (batch, in_channels, y, x) to logits (batch, out_channels, y, x).

        In training it returns a tuple that begins with these logits; progressive: then the fused logits at 1/2, 1/4,
        1/8 and 1/16, each at its own size; mean: then each scale's logits at full size, finest first.
        """
        outputs = [
            head(features) for head, features in zip(self.side_outputs, self._levels(slices), strict=False)
        ]
        scales = self._fused(outputs) if self.config.ending == "progressive" else self._averaged(outputs)
        return tuple(scales) if self.training else scales[0]

    def _levels(self, slices: torch.Tensor) -> list[torch.Tensor]:
        """Return the features that the side outputs see, finest first."""
        skipped: list[torch.Tensor] = []
        features, image = slices, slices
        for level, block in enumerate(self.encoder):
            if level > 0:
                features, image = functional.max_pool2d(features, 2), functional.avg_pool2d(image, 2)
            if 0 < level <= len(self.side_inputs):
                features = torch.cat([self.side_inputs[level - 1](image), features], dim=1)
            features = block(features)
            skipped.append(features)
        levels = [features]
        for i in reversed(range(len(self.decoder))):
            up = functional.relu(self.upward[i](features))
            features = self.decoder[i](torch.cat([up, skipped[i]], dim=1))
            levels.append(features)
        return levels[::-1]

    def _fused(self, outputs: list[torch.Tensor]) -> list[torch.Tensor]:
        fused = [outputs[-1]]
        for output in reversed(outputs[:-1]):
            fused.append(output + doubled(fused[-1]))
        return fused[::-1]

    def _averaged(self, outputs: list[torch.Tensor]) -> list[torch.Tensor]:
        size = (outputs[0].shape[-2], outputs[0].shape[-1])
        whole = [resized(output, size) for output in outputs]
        probability = torch.stack([torch.sigmoid(logits.float()) for logits in whole]).mean(dim=0)
        return [torch.logit(probability, eps=_EPSILON), *whole]

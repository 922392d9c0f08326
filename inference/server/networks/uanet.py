"""UaNet (Tang et al., Nature Machine Intelligence 2019), compared with SOARS: boxes first, then a mask inside each.

From its description and its authors' published settings: a first convolution of stride 2 to 24 channels; residual
blocks of two 3x3x3 convolutions with batch norm (32 channels at 1/2, 64 at 1/4, 1/8 and 1/16), brought back to 1/8 with
128 channels; proposals there from 12 anchors (7, 15, 30 and 50 voxels times 1:2.5:2.5, 1:2.5:5, 1:5:2.5) by 1x1x1
convolutions to 64; regions pooled to 6x6x6, two linear layers of 512 and 256, class and box; suppression at 0.5; a mask
head that rises from 128 channels through joints of 128, 96 and 65 channels with the features at 1/4, 1/2 and the CT
itself, with instance norm, and one 1x1x1 convolution per class. At most one box per structure is kept: the most
probable.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from typing_extensions import override

from inference.server.networks.uanet_boxes import (
    Corner,
    anchor_boxes,
    decoded,
    snapped,
    suppressed,
)

STRIDE = 8
NOTHING_LOGIT = -20.0
_BASES = (7.0, 15.0, 30.0, 50.0)
_SHAPES = ((1.0, 2.5, 2.5), (1.0, 2.5, 5.0), (1.0, 5.0, 2.5))
_POOLED = 6


@dataclass(frozen=True, kw_only=True)
class UanetConfig:
    """The parameters that define one network; ``width`` 8 is the published one (24, 32, 64 and 128 channels)."""

    in_channels: int = 1
    out_channels: int = 42
    width: int = 8
    hidden: tuple[int, int] = (512, 256)
    score_percent: int = 50
    overlap_percent: int = 50
    proposals: int = 300

    @property
    def multiple_zyx(self) -> tuple[int, int, int]:
        """Each axis of an input must be a multiple of this many voxels."""
        return 16, 16, 16

    @property
    def anchor_sizes_zyx(self) -> torch.Tensor:
        """The twelve anchors' sizes in voxels, (12, 3)."""
        return torch.tensor([[base * side for side in shape] for base in _BASES for shape in _SHAPES])


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """The CT and the features at 1/2, 1/4 and 1/8 of its size."""

    whole: torch.Tensor
    half: torch.Tensor
    quarter: torch.Tensor
    eighth: torch.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposals:
    """For each anchor (batch, anchor): logit, regression (..., 6); and the anchors (anchor, 6)."""

    logits: torch.Tensor
    deltas: torch.Tensor
    anchors: torch.Tensor


class Uanet(nn.Module):
    """CT in, one logit per structure and voxel out.

    Inside a structure's box they are its mask's; outside, and where no box was found, they are -20.
    """

    def __init__(self, config: UanetConfig) -> None:
        """Build the four parts; weights are random until a state is loaded."""
        super().__init__()
        self.config = config
        wide = 16 * config.width
        self.features = FeaturePath(config)
        self.propose = nn.Sequential(nn.Conv3d(wide, 8 * config.width, 1), nn.ReLU(inplace=True))
        anchors = len(config.anchor_sizes_zyx)
        self.propose_logits = nn.Conv3d(8 * config.width, anchors, 1)
        self.propose_deltas = nn.Conv3d(8 * config.width, 6 * anchors, 1)
        self.classify = nn.Sequential(
            nn.Linear(wide * _POOLED**3, config.hidden[0]),
            nn.ReLU(inplace=True),
            nn.Linear(config.hidden[0], config.hidden[1]),
            nn.ReLU(inplace=True),
        )
        self.class_logits = nn.Linear(config.hidden[1], config.out_channels + 1)
        self.class_deltas = nn.Linear(config.hidden[1], 6 * (config.out_channels + 1))
        self.mask = MaskHead(config)

    @override
    def forward(self, ct: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, z, y, x) to logits (batch, out_channels, z, y, x)."""
        return torch.stack([self._whole(one[None]) for one in ct])

    def proposals(self, features: Features) -> Proposals:
        """Return the proposals at 1/8."""
        seen = self.propose(features.eighth)
        batch, shape = len(seen), tuple(seen.shape[2:])
        anchors = anchor_boxes(shape, STRIDE, self.config.anchor_sizes_zyx).to(seen.device)
        logits = self.propose_logits(seen).permute(0, 2, 3, 4, 1).reshape(batch, -1)
        deltas = self.propose_deltas(seen).permute(0, 2, 3, 4, 1).reshape(batch, -1, 6)
        return Proposals(logits=logits, deltas=deltas, anchors=anchors)

    @torch.no_grad()
    def chosen(self, proposals: Proposals, index: int) -> torch.Tensor:
        """Return the proposed boxes (box, 6) of one member of the batch, after suppression."""
        scores = torch.sigmoid(proposals.logits[index])
        likely = torch.nonzero(scores > self.config.score_percent / 100).flatten()
        boxes = decoded(proposals.deltas[index][likely], proposals.anchors[likely])
        kept = suppressed(
            boxes, scores[likely], overlap=self.config.overlap_percent / 100, at_most=self.config.proposals
        )
        return boxes[kept]

    def classified(self, eighth: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Map features (channel, z, y, x) at 1/8, boxes (box, 6) to logits (box, 1 + class), deltas (box, ..., 6)."""
        pooled = torch.stack([self._pooled(eighth, box) for box in boxes])
        seen = self.classify(pooled.flatten(1))
        return self.class_logits(seen), self.class_deltas(seen).reshape(len(boxes), -1, 6)

    @torch.no_grad()
    def detections(self, features: Features, index: int) -> dict[int, torch.Tensor]:
        """Return the most probable box (6,) of each structure that was found in one member of the batch."""
        boxes = self.chosen(self.proposals(features), index)
        if not len(boxes):
            return {}
        logits, deltas = self.classified(features.eighth[index], boxes)
        scores = torch.softmax(logits, dim=1)
        found = {}
        for structure in range(self.config.out_channels):
            best = int(torch.argmax(scores[:, structure + 1]))
            if scores[best, structure + 1] > self.config.score_percent / 100:
                found[structure] = decoded(deltas[best, structure + 1][None], boxes[best][None])[0]
        return found

    def _whole(self, ct: torch.Tensor) -> torch.Tensor:
        features = self.features(ct)
        shape = tuple(ct.shape[2:])
        logits = ct.new_full((self.config.out_channels, *shape), NOTHING_LOGIT)
        for structure, box in self.detections(features, 0).items():
            first, stop = snapped(box, shape, multiple=STRIDE)
            z, y, x = (slice(a, b) for a, b in zip(first, stop, strict=True))
            logits[structure, z, y, x] = self.mask(features, (first, stop), structure)
        return logits

    def _pooled(self, eighth: torch.Tensor, box: torch.Tensor) -> torch.Tensor:
        first, stop = snapped(box, tuple(STRIDE * n for n in eighth.shape[1:]), multiple=STRIDE)
        z, y, x = (slice(a // STRIDE, b // STRIDE) for a, b in zip(first, stop, strict=True))
        return functional.adaptive_max_pool3d(eighth[:, z, y, x], _POOLED)


class FeaturePath(nn.Module):
    """Down to 1/16 and back to 1/8."""

    def __init__(self, config: UanetConfig) -> None:
        """Build the levels: ``width`` times 3, 4, 8, 8, 8 and 16 channels."""
        super().__init__()
        w = config.width
        self.stem = nn.Sequential(
            nn.Conv3d(config.in_channels, 3 * w, 3, 2, 1), nn.BatchNorm3d(3 * w), nn.ReLU(inplace=True),
            nn.Conv3d(3 * w, 3 * w, 3, 1, 1), nn.BatchNorm3d(3 * w), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.at_half = _residuals(3 * w, 4 * w, 2)
        self.at_quarter = _residuals(4 * w, 8 * w, 2)
        self.at_eighth = _residuals(8 * w, 8 * w, 3)
        self.at_sixteenth = _residuals(8 * w, 8 * w, 3)
        self.up = nn.Sequential(
            nn.ConvTranspose3d(8 * w, 8 * w, 2, 2), nn.BatchNorm3d(8 * w), nn.ReLU(inplace=True)
        )
        self.back = _residuals(16 * w, 16 * w, 3)

    @override
    def forward(self, ct: torch.Tensor) -> Features:
        """Map (batch, in_channels, z, y, x) to features."""
        half = self.at_half(self.stem(ct))
        quarter = self.at_quarter(functional.max_pool3d(half, 2))
        eighth = self.at_eighth(functional.max_pool3d(quarter, 2))
        deep = self.up(self.at_sixteenth(functional.max_pool3d(eighth, 2)))
        back = self.back(torch.cat([deep, eighth], dim=1))
        return Features(whole=ct, half=half, quarter=quarter, eighth=back)


class MaskHead(nn.Module):
    """From the features of a box to its mask at full size, with one last convolution per structure."""

    def __init__(self, config: UanetConfig) -> None:
        """Build three upsampling steps, each joined with finer features."""
        super().__init__()
        w = config.width
        self.rises = nn.ModuleList([_conv(16 * w, 8 * w), _conv(8 * w, 8 * w), _conv(8 * w, 8 * w)])
        self.joins = nn.ModuleList(
            [_conv(16 * w, 8 * w), _conv(12 * w, 8 * w), _conv(8 * w + config.in_channels, 8 * w)]
        )
        self.heads = nn.ModuleList(nn.Conv3d(8 * w, 1, 1) for _ in range(config.out_channels))

    @override
    def forward(
        self, features: Features, corners: tuple[Corner, Corner], structure: int, index: int = 0
    ) -> torch.Tensor:
        """Return logits (z, y, x) of one structure between corners at multiples of 8, in one member of the batch."""

        def cut(of: torch.Tensor, by: int) -> torch.Tensor:
            z, y, x = (slice(a // by, b // by) for a, b in zip(*corners, strict=True))
            return of[index : index + 1, :, z, y, x]

        finer = (cut(features.quarter, 4), cut(features.half, 2), cut(features.whole, 1))
        found = cut(features.eighth, 8)
        for rise, join, beside in zip(self.rises, self.joins, finer, strict=True):
            up = functional.interpolate(found, scale_factor=2, mode="trilinear", align_corners=False)
            found = join(torch.cat([rise(up), beside], dim=1))
        logits: torch.Tensor = self.heads[structure](found)[0, 0]
        return logits


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, 1, 1), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True),
            nn.Conv3d(outputs, outputs, 3, 1, 1), nn.BatchNorm3d(outputs),
        )  # fmt: skip
        self.shortcut: nn.Module = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(nn.Conv3d(inputs, outputs, 1), nn.BatchNorm3d(outputs))
        )

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.path(features) + self.shortcut(features))


def _residuals(inputs: int, outputs: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(inputs if i == 0 else outputs, outputs) for i in range(count)))


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, 1, 1), nn.InstanceNorm3d(outputs, affine=True), nn.ReLU(inplace=True)
    )

"""The losses of UaNet: for proposals, for classes and boxes, and for masks inside boxes."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from inference.server.networks.uanet import STRIDE, Features, Proposals, Uanet
from inference.server.networks.uanet_boxes import encoded, overlaps, snapped

_BORDER = 8.0  # voxels round a structure, both sides together
_FOREGROUND, _BACKGROUND = 0.5, 0.1
_REGIONS, _REGION_FOREGROUND, _REGION_BACKGROUND = 128, 0.5, 0.2
_FOCUS = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The boxes (n, 6) of the structures in one CT and which structure each is (n,)."""

    boxes: torch.Tensor
    structures: torch.Tensor

    @classmethod
    def of(cls, labels: torch.Tensor, drawn: torch.Tensor) -> "Truth":
        """Return the boxes round the structures present in labels (structure, z, y, x), with a border."""
        boxes, structures = [], []
        for index in torch.nonzero(drawn).flatten().tolist():
            places = torch.nonzero(labels[index] > 0.5)
            if len(places):
                low, high = places.min(0).values.float(), places.max(0).values.float()
                boxes.append(torch.cat([(low + high) / 2, high - low + 1 + _BORDER]))
                structures.append(index)
        found = torch.stack(boxes) if boxes else labels.new_zeros((0, 6))
        return cls(boxes=found, structures=torch.tensor(structures, dtype=torch.int64, device=labels.device))


def uanet_loss(
    network: Uanet, ct: torch.Tensor, labels: torch.Tensor, drawn: torch.Tensor, *, boxes: bool, masks: bool
) -> torch.Tensor:
    """Return the sum of the losses of the parts that are being trained, for a batch of one.

    ct (1, 1, z, y, x), labels (1, structure, z, y, x), drawn (1, structure). The authors train proposals alone first
    (40 epochs), then ``boxes`` (class and box of each region), then ``masks`` too (from epoch 45).
    """
    features = network.features(ct)
    truth = Truth.of(labels[0], drawn[0])
    proposals = network.proposals(features)
    found = Proposals(
        logits=proposals.logits.to(torch.float32),
        deltas=proposals.deltas.to(torch.float32),
        anchors=proposals.anchors,
    )
    loss = proposal_loss(found, truth)
    if boxes:
        loss = loss + _region_loss(network, features, network.chosen(found, 0), truth)
    if masks:
        loss = loss + _mask_loss(network, features, labels[0], truth)
    return loss


def proposal_loss(proposals: Proposals, truth: Truth) -> torch.Tensor:
    """Return the anchors' focal loss, foreground and background balanced, plus smooth L1 of foreground regression.

    Foreground: overlap 0.5 or more with a structure's box, or a box's best; background: below 0.1; others are ignored.
    """
    logits = proposals.logits[0]
    if not len(truth.boxes):
        return focal_loss(logits, torch.zeros_like(logits), torch.ones_like(logits))
    shared = overlaps(proposals.anchors, truth.boxes)
    best, assigned = shared.max(dim=1)
    foreground = best >= _FOREGROUND
    top = shared.max(dim=0).values
    anchor, box = torch.nonzero((shared == top) & (top > 0), as_tuple=True)
    foreground[anchor], assigned[anchor] = True, box
    background = (best < _BACKGROUND) & ~foreground
    weights = foreground.to(logits.dtype)
    weights[background] = foreground.sum() / background.sum().clamp(min=1)
    classes = focal_loss(logits, foreground.to(logits.dtype), weights)
    targets = encoded(truth.boxes[assigned[foreground]], proposals.anchors[foreground])
    return classes + 6 * functional.smooth_l1_loss(proposals.deltas[0][foreground], targets)


def focal_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return weighted binary cross entropy times (1 - p of the truth)^2, that factor without gradient."""
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    factor = (1 - torch.exp(-entropy.detach())) ** _FOCUS
    return (weights * factor * entropy).sum() / weights.sum().clamp(min=1e-12)


def _region_loss(network: Uanet, features: Features, chosen: torch.Tensor, truth: Truth) -> torch.Tensor:
    """Return the loss of class and box of sampled proposals, which include the true boxes to cover each class."""
    if not len(truth.boxes):
        return features.eighth.new_zeros(())
    regions = torch.cat([truth.boxes, chosen.to(truth.boxes.dtype)])
    best, assigned = overlaps(regions, truth.boxes).max(dim=1)
    foreground = torch.nonzero(best >= _REGION_FOREGROUND).flatten()[: _REGIONS // 2]
    background = torch.nonzero(best < _REGION_BACKGROUND).flatten()[: _REGIONS - len(foreground)]
    taken = torch.cat([foreground, background])
    classes = torch.zeros(len(taken), dtype=torch.int64, device=regions.device)
    classes[: len(foreground)] = truth.structures[assigned[foreground]] + 1
    logits, deltas = network.classified(features.eighth[0], regions[taken])
    of_class = deltas[torch.arange(len(foreground)), classes[: len(foreground)]]
    targets = encoded(truth.boxes[assigned[foreground]], regions[foreground])
    classified = functional.cross_entropy(logits.to(torch.float32), classes)
    return classified + 6 * functional.smooth_l1_loss(of_class.to(torch.float32), targets)


def _mask_loss(network: Uanet, features: Features, labels: torch.Tensor, truth: Truth) -> torch.Tensor:
    """Return the sum over the structures of one minus soft Dice inside their boxes."""
    total = features.eighth.new_zeros(())
    for box, structure in zip(truth.boxes, truth.structures.tolist(), strict=True):
        first, stop = snapped(box, tuple(labels.shape[1:]), multiple=STRIDE)
        z, y, x = (slice(a, b) for a, b in zip(first, stop, strict=True))
        logits = network.mask(features, (first, stop), structure)
        seen = torch.sigmoid(logits.to(torch.float32))
        inside = labels[structure, z, y, x]
        total = total + 1 - 2 * (seen * inside).sum() / (seen.sum() + inside.sum() + 1e-5)
    return total

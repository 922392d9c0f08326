"""Boxes of a detector: anchors, their regression, overlap and suppression.

A box is a row (centre z, y, x, size z, y, x) in voxels of the input.
"""

import torch

Corner = tuple[int, int, int]

REGRESSION_WEIGHTS = (10.0, 10.0, 10.0, 5.0, 5.0, 5.0)


def anchor_boxes(shape_zyx: tuple[int, ...], stride: int, sizes_zyx: torch.Tensor) -> torch.Tensor:
    """Return all anchors of a feature map (z, y, x): boxes (z * y * x * size, 6), sizes (size, 3) varying fastest."""
    axes = [torch.arange(length, dtype=torch.float32) * stride + (stride - 1) / 2 for length in shape_zyx]
    centres = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 1, 3)
    count = len(sizes_zyx)
    sizes = sizes_zyx.reshape(1, count, 3).expand(len(centres), count, 3)
    return torch.cat([centres.expand(-1, count, 3), sizes], dim=-1).reshape(-1, 6)


def encoded(boxes: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return the regression targets (n, 6) that turn anchors into boxes.

    These are offsets relative to the anchor's size, and logarithms of size ratios.
    """
    offset = (boxes[:, :3] - anchors[:, :3]) / anchors[:, 3:]
    ratio = torch.log(boxes[:, 3:] / anchors[:, 3:])
    return torch.cat([offset, ratio], dim=1) * boxes.new_tensor(REGRESSION_WEIGHTS)


def decoded(deltas: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Return the boxes (n, 6) that regression makes from anchors.

    Sizes grow at most sixfold, so that nothing overflows.
    """
    parts = deltas / deltas.new_tensor(REGRESSION_WEIGHTS)
    centre = anchors[:, :3] + parts[:, :3] * anchors[:, 3:]
    return torch.cat([centre, anchors[:, 3:] * torch.exp(parts[:, 3:].clamp(max=1.8))], dim=1)


def overlaps(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the intersection over union (n, m) of all pairs of boxes."""
    low = torch.maximum(_low(boxes)[:, None], _low(others)[None])
    high = torch.minimum(_high(boxes)[:, None], _high(others)[None])
    common = (high - low).clamp(min=0).prod(dim=-1)
    total = boxes[:, 3:].prod(dim=-1)[:, None] + others[:, 3:].prod(dim=-1)[None] - common
    return common / total


def suppressed(boxes: torch.Tensor, scores: torch.Tensor, *, overlap: float, at_most: int) -> torch.Tensor:
    """Return the indices of boxes, best first, without those that overlap a better one by more than ``overlap``."""
    left = torch.argsort(scores, descending=True)
    kept: list[int] = []
    while len(left) and len(kept) < at_most:
        best = left[0]
        kept.append(int(best))
        left = left[1:][overlaps(boxes[best][None], boxes[left[1:]])[0] <= overlap]
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)


def snapped(box: torch.Tensor, shape_zyx: tuple[int, ...], *, multiple: int) -> tuple[Corner, Corner]:
    """Return the corners of a box (6,), moved outwards to multiples and into the volume.

    Each side has at least one multiple.
    """
    first, stop = [], []
    for axis, length in enumerate(shape_zyx):
        low = int(torch.floor((box[axis] - box[3 + axis] / 2) / multiple)) * multiple
        high = int(torch.ceil((box[axis] + box[3 + axis] / 2) / multiple)) * multiple
        low = min(max(low, 0), length - multiple)
        first.append(low)
        stop.append(min(max(high, low + multiple), length))
    return (first[0], first[1], first[2]), (stop[0], stop[1], stop[2])


def _low(boxes: torch.Tensor) -> torch.Tensor:
    return boxes[:, :3] - boxes[:, 3:] / 2


def _high(boxes: torch.Tensor) -> torch.Tensor:
    return boxes[:, :3] + boxes[:, 3:] / 2

"""From a network's logits to the label map on the image's voxels, one head at a time, only where it can win."""

import numpy as np
import torch
from numpy.typing import NDArray

from inference.contract.nnunet import NnunetPart
from inference.server.nnunet.resampling import LogitResampler, Shape, box_of, reached

_SLICES_AT_ONCE = 16

Labels = NDArray[np.uint16]
Logits = NDArray[np.float16]


def label_map(logits: Logits, part: NnunetPart, shape: Shape, resampler: LogitResampler) -> Labels:
    """Map logits (head, three axes) on the network's voxels to label values on ``shape`` voxels.

    Of exclusive classes, the first head with the highest logit wins; regions above 0.5 are written in order.
    """
    if part.regions:
        return _regions(logits, part, shape, resampler)
    return _classes(logits, part, shape, resampler)


def mean_probabilities(logits: Logits, part: NnunetPart) -> dict[int, float]:
    """Return, for each value, its mean probability over the network's voxels that have it; 0 where none has."""
    sums, counts = np.zeros(len(part.heads)), np.zeros(len(part.heads))
    for begin in range(0, logits.shape[1], _SLICES_AT_ONCE):
        slab = torch.from_numpy(logits[:, begin : begin + _SLICES_AT_ONCE].astype(np.float32))
        if part.regions:
            chances = torch.sigmoid(slab).flatten(1)
            taken = chances > 0.5
            sums += (chances * taken).sum(1).double().numpy()
            counts += taken.sum(1).numpy()
        else:
            chance, winner = torch.softmax(slab, 0).max(0)
            sums += np.bincount(
                winner.flatten().numpy(), weights=chance.flatten().numpy(), minlength=len(sums)
            )
            counts += np.bincount(winner.flatten().numpy(), minlength=len(sums))
    return {
        value: float(total / count) if count else 0.0
        for value, total, count in zip(part.heads, sums, counts, strict=True)
    }


def _classes(logits: Logits, part: NnunetPart, shape: Shape, resampler: LogitResampler) -> Labels:
    """Return the label map of exclusive classes; each head is interpolated only in the box where it can win.

    A head below the background at every voxel that an interpolation touches cannot win there.
    """
    background = logits[0]
    best = np.empty(shape, np.float16)
    for begin in range(0, shape[0], _SLICES_AT_ONCE):
        slab = (slice(begin, min(begin + _SLICES_AT_ONCE, shape[0])), *(slice(0, n) for n in shape[1:]))
        best[slab] = resampler(background, slab)
    labels = np.zeros(shape, np.uint16)
    for head, value in zip(logits[1:], part.heads[1:], strict=True):
        found = box_of(head >= background)
        if found is None:
            continue
        box = reached(found, head.shape, shape) if resampler.is_needed else found
        candidate = resampler(head, box)
        wins = candidate > best[box]
        best[box][wins] = candidate[wins]
        labels[box][wins] = value
    return labels


def _regions(logits: Logits, part: NnunetPart, shape: Shape, resampler: LogitResampler) -> Labels:
    labels = np.zeros(shape, np.uint16)
    for head, value in zip(logits, part.heads, strict=True):
        found = box_of(head > 0)
        if found is None:
            continue
        box = reached(found, head.shape, shape) if resampler.is_needed else found
        chance = torch.sigmoid(torch.from_numpy(resampler(head, box)).to(torch.float32))
        labels[box][(chance > 0.5).numpy()] = value
    return labels

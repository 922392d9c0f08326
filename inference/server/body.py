"""Where the patient is in a CT: the box in which organs are searched."""

import numpy as np
import torch
from scipy import ndimage

Box = tuple[slice, slice, slice]

_CONSIDERABLE = 0.1


def body_box(hu: torch.Tensor, *, threshold_hu: float, margin_voxels_zyx: tuple[int, int, int]) -> Box | None:
    """Return the box round the patient in a CT (z, y, x), margin included; None where nothing is denser than air.

    It contains the largest connected object above the threshold and everything at least a tenth of its size: a couch
    or a mask makes the box larger, never smaller.
    """
    pieces, count = ndimage.label((hu > threshold_hu).numpy())
    if count == 0:
        return None
    sizes = np.bincount(pieces.ravel())[1:]
    boxes = ndimage.find_objects(pieces)
    taken = [box for box, size in zip(boxes, sizes, strict=True) if size >= _CONSIDERABLE * sizes.max()]
    sides = [
        slice(
            max(0, min(box[axis].start for box in taken) - margin),
            min(length, max(box[axis].stop for box in taken) + margin),
        )
        for axis, (length, margin) in enumerate(zip(hu.shape, margin_voxels_zyx, strict=True))
    ]
    return sides[0], sides[1], sides[2]

"""nnU-Net's ``resample_data_or_seg_to_shape`` for images and logits, without scikit-image.

scikit-image's ``resize`` with mode "edge" and without anti-aliasing is scipy's ``zoom`` in grid mode, clipped to the
input's range. If voxels are much coarser along one axis, they are resampled plane by plane, and along that axis the
nearest plane is used.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.contract.nnunet import Order, Resampling

Spacing = Sequence[float]
Shape = tuple[int, ...]
Slices = tuple[slice, ...]

_ANISOTROPIC = 3.0


def new_shape(shape: Shape, spacing: Spacing, target: Spacing) -> Shape:
    """Return the number of voxels along each axis at the target spacing."""
    return tuple(round(old / new * length) for old, new, length in zip(spacing, target, shape, strict=True))


def coarse_axis(how: Resampling, spacing: Spacing, target: Spacing) -> int | None:
    """Return the axis that is resampled separately; None where all three are resampled together."""
    if how.separate_z is not None:
        return _coarsest(spacing) if how.separate_z else None
    for candidate in (spacing, target):
        if max(candidate) / min(candidate) > _ANISOTROPIC:
            return _coarsest(candidate)
    return None


def resampled_image(
    image: NDArray[np.float32], shape: Shape, how: Resampling, apart: int | None
) -> NDArray[np.float32]:
    """Return an image (three axes) on ``shape`` voxels of the same extent; the image itself where it has these."""
    if image.shape == shape:
        return image
    values = image.astype(np.float64)
    if apart is None:
        return resized(values, shape, how.order).astype(np.float32)
    planes = np.moveaxis(values, apart, 0)
    in_plane = tuple(length for axis, length in enumerate(shape) if axis != apart)
    stack = np.stack([resized(plane, in_plane, how.order) for plane in planes])
    if len(stack) != shape[apart]:
        stack = stack[nearest_places(len(stack), shape[apart], slice(0, shape[apart]))]
    return np.ascontiguousarray(np.moveaxis(stack, 0, apart), np.float32)


def resized(values: NDArray[np.float64], shape: Shape, order: Order) -> NDArray[np.float64]:
    """Resize as scikit-image's ``resize(values, shape, order, mode="edge", anti_aliasing=False)`` does."""
    factors = np.divide(values.shape, shape)
    zoom = [float(1 / factor) for factor in factors]
    zoomed: NDArray[np.float64] = ndimage.zoom(values, zoom, order=order, mode="nearest", grid_mode=True)
    return np.clip(zoomed, values.min(), values.max())


def linear_weights(length: int, wanted: int, part: slice) -> NDArray[np.float64]:
    """Return the weights (part, length) of linear interpolation with half-pixel centres and repeated ends."""
    places = _places(length, wanted, part)
    below = np.floor(places).astype(np.int64)
    share = places - below
    weights = np.zeros((len(places), length))
    rows = np.arange(len(places))
    np.add.at(weights, (rows, below.clip(0, length - 1)), 1 - share)
    np.add.at(weights, (rows, (below + 1).clip(0, length - 1)), share)
    return weights


def nearest_places(length: int, wanted: int, part: slice) -> NDArray[np.int64]:
    """Return the index of the nearest of ``length`` voxels for each of the wanted ones in ``part``."""
    return np.floor(_places(length, wanted, part) + 0.5).astype(np.int64).clip(0, length - 1)


def _places(length: int, wanted: int, part: slice) -> NDArray[np.float64]:
    """Return where the centres of the wanted voxels in ``part`` lie, in indices of the ``length`` voxels."""
    return np.asarray((np.arange(part.start, part.stop) + 0.5) * (length / wanted) - 0.5, np.float64)


def reached(box: Slices, shape: Shape, wanted: Shape) -> Slices:
    """Return the box of wanted voxels whose interpolation touches a voxel of ``box``."""
    sides = []
    for side, length, count in zip(box, shape, wanted, strict=True):
        first = int(np.floor((side.start - 0.5) * count / length - 0.5)) - 1
        stop = int(np.ceil((side.stop + 0.5) * count / length - 0.5)) + 2
        sides.append(slice(max(0, first), min(count, stop)))
    return tuple(sides)


class LogitResampler:
    """Interpolates one head's logits at a time, linearly, for a box of the result; float16 as in nnU-Net."""

    def __init__(self, shape: Shape, wanted: Shape, how: Resampling, apart: int | None) -> None:
        """Interpolate from the network's voxels to those of the (cropped) image."""
        if how.order != 1:
            raise ValueError(f"logits are resampled with order 1, not {how.order}")
        self._shape, self._wanted, self._apart = shape, wanted, apart

    @property
    def is_needed(self) -> bool:
        """Whether the network's voxels differ from the image's."""
        return self._shape != self._wanted

    def __call__(self, logits: NDArray[np.float16], box: Slices) -> NDArray[np.float16]:
        """Map logits of one head (three axes) to those of the wanted voxels in ``box``."""
        if not self.is_needed:
            return logits[box]
        touched = self._touched(box)
        values: NDArray[np.float64] = logits[touched].astype(np.float64)
        for axis, part in enumerate(box):
            length, count = self._shape[axis], self._wanted[axis]
            if axis == self._apart:
                places = nearest_places(length, count, part) - touched[axis].start
                values = np.take(values, places, axis=axis)
            elif length != count or self._apart is None:
                weights = linear_weights(length, count, part)[:, touched[axis]]
                values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
            else:
                values = np.take(values, np.arange(part.start, part.stop) - touched[axis].start, axis=axis)
        return values.astype(np.float16)

    def _touched(self, box: Slices) -> Slices:
        sides = []
        for part, length, count in zip(box, self._shape, self._wanted, strict=True):
            below = np.floor(_places(length, count, part)).astype(np.int64)
            sides.append(slice(max(0, int(below[0])), min(length, int(below[-1]) + 2)))
        return tuple(sides)


def box_of(mask: NDArray[np.bool_]) -> Slices | None:
    """Return the smallest box with every voxel of a mask; None for an empty one."""
    found = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        places = np.flatnonzero(mask.any(axis=others))
        if not len(places):
            return None
        found.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(found)


def tile_starts(length: int, size: int, step: float) -> list[int]:
    """Return where tiles of ``size`` begin, at most ``step`` sizes apart and evenly.

    Numbers are rounded as in nnU-Net, half to even.
    """
    count = int(np.ceil((length - size) / (size * step))) + 1
    if count == 1:
        return [0]
    apart = (length - size) / (count - 1)
    starts = [int(np.round(apart * i)) for i in range(count)]
    assert all(low < high for low, high in pairwise(starts))
    return starts


def _coarsest(spacing: Spacing) -> int | None:
    largest = [axis for axis, step in enumerate(spacing) if max(spacing) / step == 1]
    return largest[0] if len(largest) == 1 else None

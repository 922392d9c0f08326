"""The volume of interest round a detected organ: its size from the training set, its place in a volume."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

FACTOR = 3.0  # times the largest extent of the organ in the training set, axis by axis

Size = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class VolumeOfInterest:
    """Index boxes: what is cut from a volume, and its place in the (padded) volume of interest."""

    size_zyx: Size
    volume: tuple[slice, slice, slice]
    inside: tuple[slice, slice, slice]

    def cut(self, values: torch.Tensor, *, outside: float) -> torch.Tensor:
        """Cut values (..., z, y, x) of the volume to (..., *size_zyx), padded with ``outside`` beyond the volume."""
        z, y, x = self.volume
        part = values[..., z, y, x]
        pads: list[int] = []
        for length, inside in zip(reversed(self.size_zyx), reversed(self.inside), strict=True):
            pads += [inside.start, length - inside.stop]
        return functional.pad(part, pads, value=outside)


def voi_size(
    extent_mm: tuple[float, float, float],
    spacing_mm: tuple[float, float, float],
    *,
    multiple: Size,
    factor: float = FACTOR,
) -> Size:
    """Return the volume's size (z, y, x) in voxels: ``factor`` times the extent, up to the network's multiple."""
    z, y, x = (
        math.ceil(factor * extent / step / unit) * unit
        for extent, step, unit in zip(extent_mm, spacing_mm, multiple, strict=True)
    )
    return z, y, x


def volume_of_interest(centre_zyx: Size, size_zyx: Size, shape_zyx: Size) -> VolumeOfInterest:
    """Place the volume of interest round a centre; at an edge it is shifted inside, and padded if it is larger."""
    volume, inside = [], []
    for centre, size, length in zip(centre_zyx, size_zyx, shape_zyx, strict=True):
        if size >= length:
            before = (size - length) // 2
            volume.append(slice(0, length))
            inside.append(slice(before, before + length))
        else:
            first = min(max(centre - size // 2, 0), length - size)
            volume.append(slice(first, first + size))
            inside.append(slice(0, size))
    return VolumeOfInterest(
        size_zyx=size_zyx, volume=(volume[0], volume[1], volume[2]), inside=(inside[0], inside[1], inside[2])
    )

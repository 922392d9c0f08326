"""Boxes of voxels: masks cut out, combined and put back without ever unpacking a whole grid."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.volume import Mask, bounding_box

Three = tuple[int, int, int]


class IndexBox:
    """A half-open box of voxel indices (z, y, x); it may reach beyond the grid, where every mask is empty."""

    __slots__ = ("start", "stop")

    def __init__(self, start: Sequence[int], stop: Sequence[int]) -> None:
        """Take the first index and the one after the last, along z, y and x."""
        self.start: Three = (int(start[0]), int(start[1]), int(start[2]))
        self.stop: Three = (int(stop[0]), int(stop[1]), int(stop[2]))

    @property
    def shape(self) -> Three:
        """The number of voxels along z, y and x; 0 where the box is empty."""
        nz, ny, nx = (max(0, b - a) for a, b in zip(self.start, self.stop, strict=True))
        return nz, ny, nx

    def grown(self, low: Sequence[int], high: Sequence[int]) -> "IndexBox":
        """Return the box enlarged by `low` voxels at its lower ends and `high` at its upper ends."""
        return IndexBox(np.subtract(self.start, low).tolist(), np.add(self.stop, high).tolist())

    def within(self, shape_zyx: Sequence[int]) -> "IndexBox":
        """Return the part of the box that lies in a grid of this shape."""
        return IndexBox(np.maximum(self.start, 0).tolist(), np.minimum(self.stop, shape_zyx).tolist())

    def met(self, other: "IndexBox") -> "IndexBox":
        """Return the intersection of two boxes."""
        return IndexBox(
            np.maximum(self.start, other.start).tolist(), np.minimum(self.stop, other.stop).tolist()
        )

    def joined(self, other: "IndexBox") -> "IndexBox":
        """Return the smallest box round both."""
        return IndexBox(
            np.minimum(self.start, other.start).tolist(), np.maximum(self.stop, other.stop).tolist()
        )

    def slices_in(self, outer: "IndexBox") -> tuple[slice, slice, slice]:
        """Return the slices of this box in an array that covers `outer`."""
        z, y, x = (
            slice(a - o, max(a, b) - o) for a, b, o in zip(self.start, self.stop, outer.start, strict=True)
        )
        return z, y, x


def box_of(mask: Mask) -> IndexBox:
    """Return the box that the mask's crop covers."""
    return IndexBox(mask.start_zyx, np.add(mask.start_zyx, mask.crop_zyx.shape).tolist())


def cut_out(mask: Mask, box: IndexBox) -> NDArray[np.bool_]:
    """Return the mask's voxels in the box, as a new array of the box's shape; False beyond the mask's crop."""
    result = np.zeros(box.shape, np.bool_)
    own = box_of(mask)
    shared = own.met(box)
    if min(shared.shape) > 0:
        result[shared.slices_in(box)] = mask.crop_zyx[shared.slices_in(own)]
    return result


def put_back(array_zyx: NDArray[np.bool_], box: IndexBox) -> Mask:
    """Return the tight mask of an array that covers the box; empty where no voxel is set."""
    tight = bounding_box(array_zyx)
    if tight is None:
        return Mask.empty()
    z, y, x = tight
    start = (box.start[0] + z.start, box.start[1] + y.start, box.start[2] + x.start)
    return Mask(crop_zyx=np.ascontiguousarray(array_zyx[z, y, x]), start_zyx=start)


def tightened(mask: Mask) -> Mask:
    """Return the mask with the same voxels in the smallest crop."""
    return put_back(mask.crop_zyx, box_of(mask))

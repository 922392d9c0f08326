"""Two masks of one structure on one grid, cropped to the box round both, and what can be compared."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.crops import IndexBox, box_of, cut_out, tightened
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

MARGIN_VOXELS = 1  # so that voxels at the edge of the grid have an outside, and count as surface


class PairState(StrEnum):
    """Whether two masks can be compared. Only `COMPARED` has values of overlap and distance."""

    COMPARED = "compared"
    MISSING = "missing"
    SPURIOUS = "spurious"
    BOTH_EMPTY = "both empty"


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskPair:
    """A mask under evaluation and its reference, as boolean (z, y, x) arrays of the joint box and one voxel round it.

    `box` is the arrays' place in `grid`; it may reach one voxel beyond it. Axis 0 runs over axial slices.
    """

    found_zyx: NDArray[np.bool_]
    reference_zyx: NDArray[np.bool_]
    box: IndexBox
    grid: Grid

    @classmethod
    def of(cls, found: Mask, reference: Mask, grid: Grid) -> "MaskPair":
        """Crop both masks to their joint box. Where neither has a voxel, the arrays are empty."""
        boxes = [box_of(mask) for mask in map(tightened, (found, reference)) if mask.crop_zyx.size]
        if not boxes:
            nothing = np.zeros((0, 0, 0), np.bool_)
            return cls(
                found_zyx=nothing, reference_zyx=nothing, box=IndexBox((0, 0, 0), (0, 0, 0)), grid=grid
            )
        joint = boxes[0] if len(boxes) == 1 else boxes[0].joined(boxes[1])
        if joint.within(grid.shape_zyx).shape != joint.shape:
            raise ValueError(f"masks that reach {joint.stop} do not lie in a grid of {grid.shape_zyx} voxels")
        margin = (MARGIN_VOXELS,) * 3
        box = joint.grown(margin, margin)
        return cls(found_zyx=cut_out(found, box), reference_zyx=cut_out(reference, box), box=box, grid=grid)

    @classmethod
    def of_arrays(
        cls, found_zyx: NDArray[np.bool_], reference_zyx: NDArray[np.bool_], grid: Grid
    ) -> "MaskPair":
        """Crop two whole-grid arrays; ValueError where a shape is not the grid's."""
        for array in (found_zyx, reference_zyx):
            if array.shape != grid.shape_zyx:
                raise ValueError(
                    f"a mask of shape {array.shape} does not lie on a grid of {grid.shape_zyx} voxels"
                )
        return cls.of(Mask.from_full(found_zyx), Mask.from_full(reference_zyx), grid)

    @cached_property
    def found_voxels(self) -> int:
        """The number of voxels of the mask under evaluation."""
        return int(np.count_nonzero(self.found_zyx))

    @cached_property
    def reference_voxels(self) -> int:
        """The number of voxels of the reference."""
        return int(np.count_nonzero(self.reference_zyx))

    @cached_property
    def shared_voxels(self) -> int:
        """The number of voxels that both have."""
        return int(np.count_nonzero(self.found_zyx & self.reference_zyx))

    @property
    def state(self) -> PairState:
        """Which of the masks have voxels: both, one of them, or neither."""
        states = {
            (True, True): PairState.COMPARED,
            (False, True): PairState.MISSING,
            (True, False): PairState.SPURIOUS,
            (False, False): PairState.BOTH_EMPTY,
        }
        return states[self.found_voxels > 0, self.reference_voxels > 0]

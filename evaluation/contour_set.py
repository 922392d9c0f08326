"""One set of contours of one patient, wherever it came from: masks by name on a grid, and remarks on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from evaluation.errors import EvaluationRefused
from imaging.contours.structure_set import StructureSet
from imaging.volumes.crops import IndexBox, box_of
from imaging.volumes.grid import Grid
from imaging.volumes.orientation import canonical_masks
from imaging.volumes.volume import Mask, Masks, Volume

_LATTICE_TOLERANCE = 0.01  # of a voxel


@dataclass(frozen=True, kw_only=True, eq=False)
class ContourSet:
    """Masks by structure name on one grid (index z, y, x to Superior, Posterior, Left), with remarks.

    `refused` are structures whose contours cannot be placed on the grid, with the reason: that does not make them
    empty. `structure_set` holds the polygons where the set came from an RTSTRUCT: volumes and doses use those.
    """

    label: str
    grid: Grid
    masks: Mapping[str, Mask]
    volume: Volume | None = None
    structure_set: StructureSet | None = None
    frame_of_reference_uid: str = ""
    notes: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def labelled(self, label: str) -> "ContourSet":
        """Return the same set under another label."""
        return replace(self, label=label)

    def on_grid(self, grid: Grid) -> "ContourSet":
        """Return the same voxels numbered on another grid of the same lattice.

        Raises EvaluationRefused where the voxels of the two grids do not coincide, or a mask reaches beyond the grid.
        """
        if self.grid == grid:
            return self
        shift = _lattice_shift(self, grid)
        masks = {name: self._moved(name, mask, shift, grid) for name, mask in self.masks.items()}
        return replace(self, grid=grid, masks=masks, volume=None)

    def _moved(self, name: str, mask: Mask, shift: tuple[int, int, int], grid: Grid) -> Mask:
        if not mask.crop_zyx.any():
            return Mask.empty()
        box = box_of(mask)
        moved = IndexBox(np.add(box.start, shift).tolist(), np.add(box.stop, shift).tolist())
        if moved.within(grid.shape_zyx).shape != moved.shape:
            raise EvaluationRefused(f"{self.label}: {name} reaches beyond the image of the other set")
        return Mask(crop_zyx=mask.crop_zyx, start_zyx=moved.start)


def upright(grid: Grid, masks: Mapping[str, Mask]) -> tuple[Grid, dict[str, Mask]]:
    """Return masks on any axial grid as the same voxels on a grid towards Superior, Posterior and Left.

    Raises EvaluationRefused for oblique grids.
    """
    try:
        turned = canonical_masks(Masks(grid=grid, by_code=masks))
    except ValueError as reason:
        raise EvaluationRefused(
            f"an image lies obliquely in the patient: {reason}; resample it first"
        ) from reason
    return turned.grid, dict(turned.by_code)


def _lattice_shift(found: ContourSet, grid: Grid) -> tuple[int, int, int]:
    """Return by how many voxels indices (z, y, x) change from one grid to the other."""
    same_spacing = np.allclose(found.grid.spacing_zyx_mm, grid.spacing_zyx_mm, rtol=1e-3)
    same_axes = np.allclose(found.grid.axes_lps, grid.axes_lps, atol=1e-3)
    start = grid.index_zyx(found.grid.origin_lps)
    whole = np.rint(start)
    if not (same_spacing and same_axes and np.allclose(start, whole, atol=_LATTICE_TOLERANCE)):
        raise EvaluationRefused(
            f"{found.label}: its voxels ({_words(found.grid)}) do not coincide with the other set's ({_words(grid)}); "
            "bring both to one image first"
        )
    z, y, x = (int(v) for v in whole)
    return z, y, x


def _words(grid: Grid) -> str:
    shape, spacing = (
        " x ".join(f"{value:g}" for value in values) for values in (grid.shape_zyx, grid.spacing_zyx_mm)
    )
    origin = ", ".join(f"{value:.2f}" for value in grid.origin_lps)
    return f"{shape} of {spacing} mm from ({origin}), z y x"

"""Post-processing of masks: pieces, specks and holes; and notes for people."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.contract import ModelStructure

_TOUCHING = np.ones((3, 3, 3), bool)  # voxels that share a corner belong to one piece


def kept_pieces(
    mask_zyx: NDArray[np.bool_], structure: ModelStructure, voxel_mm3: float
) -> NDArray[np.bool_]:
    """Return the mask without specks; of a single-piece structure, only the largest piece, however small."""
    pieces, count = ndimage.label(mask_zyx, _TOUCHING)
    if count == 0:
        return mask_zyx
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    if structure.single_piece:
        keep = np.arange(len(sizes)) == sizes.argmax()
    else:
        keep = sizes * voxel_mm3 >= structure.smallest_piece_cc * 1000.0
        keep[0] = False
    return np.asarray(keep[pieces], np.bool_)


def without_holes(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask with every background region filled that is enclosed within its axial slice."""
    filled = np.empty_like(mask_zyx)
    for z, plane in enumerate(mask_zyx):
        ndimage.binary_fill_holes(plane, output=filled[z])
    return filled


def finished(mask_zyx: NDArray[np.bool_], structure: ModelStructure, voxel_mm3: float) -> NDArray[np.bool_]:
    """Return the mask with pieces, then holes, treated as the structure's contract says."""
    kept = kept_pieces(mask_zyx, structure, voxel_mm3)
    return without_holes(kept) if structure.fill_holes else kept


def remarks(
    structure: ModelStructure, *, volume_cc: float, touches_first: bool, touches_last: bool
) -> tuple[str, ...]:
    """Return notes on one structure of a case: empty, cut off by the end of the scan, or of an unusual size."""
    if volume_cc == 0.0:
        return (f"{structure.code}: not found",)
    notes = []
    if touches_first or touches_last:
        ends = [name for name, hit in (("lowest", touches_first), ("highest", touches_last)) if hit]
        notes.append(f"{structure.code}: reaches the {' and the '.join(ends)} slice, the scan may cut it")
    if structure.usual_cc is not None and not structure.usual_cc[0] <= volume_cc <= structure.usual_cc[1]:
        low, high = structure.usual_cc
        notes.append(f"{structure.code}: {volume_cc:.1f} cc, usual are {low:g} to {high:g} cc")
    return tuple(notes)

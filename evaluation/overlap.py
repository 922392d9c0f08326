"""How much two masks of the same structure overlap."""

import numpy as np
from numpy.typing import NDArray

from evaluation.pair import MaskPair


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return the Dice coefficient, 0..1: twice the shared voxels over the sum of both (Dice 1945).

    Raises ValueError for arrays of different shapes, and where both are empty: there is nothing to agree on.
    """
    if found.shape != truth.shape:
        raise ValueError(f"masks of shapes {found.shape} and {truth.shape} do not lie on one grid")
    total = int(np.count_nonzero(found)) + int(np.count_nonzero(truth))
    if total == 0:
        raise ValueError("the Dice of two empty masks is not defined")
    return 2.0 * int(np.count_nonzero(found & truth)) / total


def overlap_values(pair: MaskPair) -> dict[str, float | None]:
    """Return the overlap metrics by voxels, fractions 0..1, of two masks that both have voxels.

    Rates that depend on voxels outside both masks are given twice: over the whole grid, where they depend on the size
    of the image, and over the tight box round both masks. None where the box has no voxel outside the reference.
    """
    found, reference, shared = pair.found_voxels, pair.reference_voxels, pair.shared_voxels
    joint = int(np.prod([n - 2 for n in pair.box.shape]))
    whole = int(np.prod(pair.grid.shape_zyx))
    specificity = {
        where: _share(voxels - found - reference + shared, voxels - reference)
        for where, voxels in (("whole_grid", whole), ("joint_box", joint))
    }
    values: dict[str, float | None] = {
        "dice": 2.0 * shared / (found + reference),
        "jaccard": shared / (found + reference - shared),
        "sensitivity": shared / reference,
        "true_positive_rate": shared / reference,
        "precision": shared / found,
    }
    for where, value in specificity.items():
        values[f"specificity_{where}"] = value
        values[f"false_positive_rate_{where}"] = None if value is None else 1.0 - value
    return values


def volume_values(pair: MaskPair) -> dict[str, float | None]:
    """Return volumes by voxels in cm3, also for empty masks, and the relative error in percent of the reference.

    The relative error is signed: positive where the mask under evaluation is larger. None for an empty reference.
    """
    voxel_cm3 = pair.grid.voxel_volume_mm3 / 1000.0
    found, reference = pair.found_voxels * voxel_cm3, pair.reference_voxels * voxel_cm3
    return {
        "volume_cm3": found,
        "reference_volume_cm3": reference,
        "volume_difference_cm3": found - reference,
        "volume_relative_error_percent": 100.0 * (found - reference) / reference if reference else None,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None

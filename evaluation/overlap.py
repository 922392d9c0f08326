"""How much two masks of the same structure overlap."""

import numpy as np
from numpy.typing import NDArray


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Twice the shared voxels over the sum of both (Dice 1945), 0..1.

    Arrays of one shape; ValueError otherwise, and where both are empty: nothing was there to agree on.
    """
    if found.shape != truth.shape:
        raise ValueError(f"masks of shapes {found.shape} and {truth.shape} do not lie on one grid")
    total = int(np.count_nonzero(found)) + int(np.count_nonzero(truth))
    if total == 0:
        raise ValueError("the Dice of two empty masks is not defined")
    return 2.0 * int(np.count_nonzero(found & truth)) / total

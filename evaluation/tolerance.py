"""When a distance is within a tolerance: 3 x 0.1 mm is not over 0.3 mm."""

import numpy as np
from numpy.typing import NDArray

EPSILON = 1e-6


def within(distances_mm: NDArray[np.float64], tolerance_mm: float) -> NDArray[np.bool_]:
    """Tell which distances are at most the tolerance, plus a millionth of it (or of 1 mm if smaller) for rounding."""
    return np.asarray(distances_mm <= tolerance_mm + EPSILON * max(1.0, tolerance_mm), np.bool_)

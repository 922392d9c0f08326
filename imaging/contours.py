"""Masks to closed planar polygons in patient millimetres."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.grid import Grid
from imaging.volume import Mask


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanarContour:
    """One closed polygon on one slice: points (n, 3) in LPS mm, the first not repeated at the end."""

    slice_index: int
    points_lps: NDArray[np.float64]


def contours(mask: Mask, grid: Grid) -> list[PlanarContour]:
    """The exact outline of every part of the mask, holes as keyholes, ordered by slice."""
    raise NotImplementedError

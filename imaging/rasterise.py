"""Polygons to masks: the inverse of contours."""

from collections.abc import Sequence

from imaging.contours import PlanarContour
from imaging.grid import Grid
from imaging.volume import Mask


def rasterise(polygons: Sequence[PlanarContour], grid: Grid) -> Mask:
    """The voxels whose centre lies inside an odd number of the polygons on their slice."""
    raise NotImplementedError

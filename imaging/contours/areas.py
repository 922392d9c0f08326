"""Areas of closed polygons, computed for all polygons of a structure at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def areas(polygons: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the signed area of each polygon (n, 2), by the shoelace formula."""
    if not polygons:
        return np.empty(0)
    starts, (x, y), (u, v) = _edges(polygons)
    return np.asarray(np.add.reduceat(y * u - x * v, starts) / 2, np.float64)


def area_vectors(polygons: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return, for each plane polygon (n, 3), the vector (3,) along its normal whose length is the polygon's area.

    The area inside a keyhole's hole is not part of it.
    """
    if not polygons:
        return np.empty((0, 3))
    starts, (x, y, z), (u, v, w) = _edges(polygons)
    crossed = np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=1)
    return np.asarray(np.add.reduceat(crossed, starts) / 2, np.float64)


def _edges(
    polygons: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.int_], NDArray[np.float64], NDArray[np.float64]]:
    """Return where each polygon starts, and both ends of every edge, relative to its polygon's first point."""
    counts = np.array([len(polygon) for polygon in polygons])
    ends = np.cumsum(counts)
    starts = ends - counts
    points = np.concatenate(polygons)
    points = points - np.repeat(points[starts], counts, axis=0)
    following = np.arange(1, len(points) + 1)
    following[ends - 1] = starts
    return starts, points.T, points[following].T

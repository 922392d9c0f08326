"""From each border voxel of a mask to the nearest border voxel of another, in mm.

A border voxel is a voxel of the mask with one of its six face neighbours outside it; what lies beyond the grid is
outside. Distances run between voxel centres, exact (no distance map in voxels, no single precision).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from evaluation.pair import MaskPair

Distances = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SurfaceDistances:
    """Distances in mm of every border voxel of one mask to the other's border, both ways; neither is empty."""

    from_found: Distances
    from_reference: Distances

    @cached_property
    def pooled(self) -> Distances:
        """Both ways in one array."""
        return np.concatenate([self.from_found, self.from_reference])


def border_distances(pair: MaskPair) -> SurfaceDistances:
    """Distances between the borders of two masks; ValueError where one is empty."""
    if not (pair.found_voxels and pair.reference_voxels):
        raise ValueError("distances need voxels in both masks")
    found, reference = border(pair.found_zyx), border(pair.reference_zyx)
    return SurfaceDistances(
        from_found=nearest_mm(found, reference, pair.grid.spacing_zyx_mm),
        from_reference=nearest_mm(reference, found, pair.grid.spacing_zyx_mm),
    )


def border(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The voxels of a mask with a face neighbour outside it; the array's outermost voxels are not set."""
    inner = mask_zyx[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for shift in (0, 2):
            part = [slice(1, -1)] * 3
            part[axis] = slice(shift, mask_zyx.shape[axis] - 2 + shift)
            inner &= mask_zyx[tuple(part)]
    result = mask_zyx.copy()
    result[1:-1, 1:-1, 1:-1] ^= inner
    return result


def nearest_mm(
    here_zyx: NDArray[np.bool_], there_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]
) -> Distances:
    """For each point set in one (z, y, x) array the distance in mm to the nearest one set in the other, which has some.

    In the array's order. Points that both have are 0 and are not looked up.
    """
    here = np.flatnonzero(here_zyx)
    distances = np.zeros(len(here))
    apart = ~there_zyx.reshape(-1)[here]
    if apart.any():
        points = _points_mm(here[apart], here_zyx.shape, spacing_zyx_mm)
        others = _points_mm(np.flatnonzero(there_zyx), there_zyx.shape, spacing_zyx_mm)
        tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
        distances[apart] = tree.query(points)[0]
    return distances


def _points_mm(
    flat: NDArray[np.intp], shape: tuple[int, ...], spacing_zyx_mm: tuple[float, float, float]
) -> Distances:
    index = np.stack(np.unravel_index(flat, shape), axis=1)
    return np.asarray(index * np.array(spacing_zyx_mm), np.float64)

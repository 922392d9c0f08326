"""Distances from each border voxel of a mask to the nearest border voxel of another, in mm.

A border voxel is a voxel of the mask with one of its six face neighbours outside it; everything beyond the grid is
outside. Distances are exact, between voxel centres (no distance map in voxels, no single precision).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from evaluation.pair import MaskPair

Distances = NDArray[np.float64]
Spacing = tuple[float, float, float]
_NEAR_VOXELS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class SurfaceDistances:
    """Distances in mm of every border voxel of one mask to the other's border, both ways; neither is empty."""

    from_found: Distances
    from_reference: Distances

    @cached_property
    def pooled(self) -> Distances:
        """The distances of both directions in one array."""
        return np.concatenate([self.from_found, self.from_reference])


def border_distances(pair: MaskPair) -> SurfaceDistances:
    """Return distances between the borders of two masks; ValueError where one is empty."""
    if not (pair.found_voxels and pair.reference_voxels):
        raise ValueError("distances need voxels in both masks")
    found, reference = border(pair.found_zyx), border(pair.reference_zyx)
    return SurfaceDistances(
        from_found=nearest_mm(found, reference, pair.grid.spacing_zyx_mm),
        from_reference=nearest_mm(reference, found, pair.grid.spacing_zyx_mm),
    )


def border(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels of a mask with a face neighbour outside it; the array's outermost voxels must not be set."""
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
    here_zyx: NDArray[np.bool_], there_zyx: NDArray[np.bool_], spacing_zyx_mm: Spacing
) -> Distances:
    """Return, for each point set in one (z, y, x) array, the distance in mm to the nearest one in the other, not empty.

    In the array's order. Points near the other set are found by searching their surroundings, the nearest first; those
    farther than a ball of about 200 voxels by a k-d tree.
    """
    here = np.argwhere(here_zyx)
    distances = np.zeros(len(here))
    left = _look_around(here, there_zyx, spacing_zyx_mm, distances)
    if len(left):
        spacing = np.array(spacing_zyx_mm)
        tree = cKDTree(np.argwhere(there_zyx) * spacing, balanced_tree=False, compact_nodes=False)
        distances[left] = tree.query(here[left] * spacing)[0]
    return distances


def _look_around(
    here: NDArray[np.intp], there_zyx: NDArray[np.bool_], spacing_zyx_mm: Spacing, distances: Distances
) -> NDArray[np.intp]:
    """Fill in the distances of points (n, 3) near a point of the other set; return the positions of the others."""
    dz, dy, dx = spacing_zyx_mm
    steps, lengths = _steps((dz, dy, dx))
    reach = np.abs(steps).max(axis=0)
    padded = np.pad(there_zyx, [(int(r), int(r)) for r in reach])
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])
    flat, values = (here + reach) @ strides, padded.reshape(-1)
    left = np.arange(len(here))
    for step, length in zip((steps @ strides).tolist(), lengths.tolist(), strict=True):
        found = values[flat + step]
        if found.any():
            distances[left[found]] = length
            left, flat = left[~found], flat[~found]
        if not len(left):
            break
    return left


@lru_cache(maxsize=32)
def _steps(spacing_zyx_mm: Spacing) -> tuple[NDArray[np.intp], Distances]:
    """Return the steps (n, 3) in voxels within a ball of about `_NEAR_VOXELS` voxels, shortest first, and their mm."""
    radius = float(np.cbrt(_NEAR_VOXELS * np.prod(spacing_zyx_mm) * 3 / (4 * np.pi)))
    reach = [int(radius / size) for size in spacing_zyx_mm]
    steps = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(
        -1, 3
    )
    lengths = np.linalg.norm(steps * np.array(spacing_zyx_mm), axis=1)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] <= radius]
    return steps[order], lengths[order]

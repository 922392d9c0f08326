"""Distances between surfaces weighted by area: surface elements at voxel corners (Nikolov 2018, surface-distance).

Each corner between eight voxels of which some but not all are in the mask is a surface element; its area is that of the
marching-cubes triangles of that neighbourhood. Values are those of the Python package surface-distance 0.1.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from evaluation.distances import Distances, nearest_mm
from evaluation.pair import MaskPair

_NEIGHBOURHOODS = 256
_FULL = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedDistances:
    """Distances in mm from each element of one surface to the nearest of the other, both ways, and areas in mm2."""

    from_found: Distances
    found_areas: Distances
    from_reference: Distances
    reference_areas: Distances


def surfel_distances(pair: MaskPair) -> WeightedDistances:
    """Return area-weighted distances between the surfaces of two masks; ValueError where one is empty."""
    if not (pair.found_voxels and pair.reference_voxels):
        raise ValueError("distances need voxels in both masks")
    area_of = surfel_areas(pair.grid.spacing_zyx_mm)
    codes = [_neighbourhoods(mask) for mask in (pair.found_zyx, pair.reference_zyx)]
    found, reference = ((code != 0) & (code != _FULL) for code in codes)
    return WeightedDistances(
        from_found=nearest_mm(found, reference, pair.grid.spacing_zyx_mm),
        found_areas=area_of[codes[0][found]],
        from_reference=nearest_mm(reference, found, pair.grid.spacing_zyx_mm),
        reference_areas=area_of[codes[1][reference]],
    )


def weighted_percentile(distances: Distances, areas: Distances, percent: float) -> float:
    """Return the distance below which that share of the area lies: the first element to reach it, not interpolated."""
    order = np.lexsort((areas, distances))
    reached = np.cumsum(areas[order]) / areas.sum()
    return float(distances[order][min(int(np.searchsorted(reached, percent / 100.0)), len(order) - 1)])


def surfel_areas(spacing_zyx_mm: tuple[float, float, float]) -> Distances:
    """Return the area in mm2 of the surface element of each of the 256 neighbourhoods at this voxel spacing."""
    dz, dy, dx = spacing_zyx_mm
    stretched = _normals() * np.array([dy * dx, dz * dx, dz * dy])
    return np.asarray(np.linalg.norm(stretched, axis=2).sum(axis=1), np.float64)


@cache
def _normals() -> NDArray[np.float64]:
    """Return the normals (256, 4, 3) of each neighbourhood's triangles; unused ones are 0."""
    lines = files("evaluation").joinpath("surfels.txt").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if not line.startswith("#")]
    if len(rows) != _NEIGHBOURHOODS:
        raise ValueError(f"surfels.txt should describe {_NEIGHBOURHOODS} neighbourhoods, not {len(rows)}")
    table = np.zeros((_NEIGHBOURHOODS, 4, 3))
    for code, row in enumerate(rows):
        for place, normal in enumerate(part for part in row.split(";") if part.strip()):
            table[code, place] = [int(number) / 8 for number in normal.split()]
    return table


def _neighbourhoods(mask_zyx: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return, for each inner corner of a padded array, the bits of the eight voxels round it, the first highest."""
    voxels = mask_zyx.view(np.uint8)
    along_x = voxels[:, :, :-1] << 1
    along_x |= voxels[:, :, 1:]
    plane = along_x[:, :-1] << 2
    plane |= along_x[:, 1:]
    codes = plane[:-1] << 4
    codes |= plane[1:]
    return np.asarray(codes, np.uint8)

"""Points that each represent an equal part of a structure's volume, taken from its contours, not from dose voxels.

Each plane of contours is a slab as thick as the distance between planes, with the even-odd interior of its polygons. A
slab is cut into layers and each layer into cells; a cell counts if its centre lies inside. Cells are small compared
with the structure and the dose grid (`_SAMPLES` in all, at least `_CELLS` across), so that partly covered voxels count
by the share that is covered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import EvaluationRefused
from imaging.contours.exact import PlanarContour
from imaging.contours.rasterise import rasterise
from imaging.volumes.grid import Grid

_SAMPLES = 400_000
_CELLS = (64, 1024)  # fewest, most across a structure
_LAYERS = 4
_ONE_PLANE_MM = 0.01
_FLAT_MM = 0.1
Polygons = Sequence[NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Points (n, 3) in LPS mm, each representing the same volume."""

    points_lps: NDArray[np.float64]
    volume_cm3: float


def sample(name: str, polygons: Polygons, grid: Grid) -> Samples:
    """Sample a structure from its closed polygons (n, 3) in LPS mm, drawn on slices of `grid`.

    Slabs are as thick as the smallest distance between two planes of the structure, or as a slice of the grid if
    there is one plane. No polygons give no samples. Raises EvaluationRefused for a polygon that crosses slices.
    """
    if not polygons:
        return Samples(points_lps=np.zeros((0, 3)), volume_cm3=0.0)
    normal, down, right = np.array(grid.axes_lps)
    depths = np.array([_depth(name, polygon @ normal) for polygon in polygons])
    planes, plane_of = _planes(depths)
    slab_mm = float(np.diff(planes).min()) if len(planes) > 1 else grid.spacing_zyx_mm[0]
    flat = [np.stack([polygon @ down, polygon @ right], axis=1) for polygon in polygons]
    corner, cell, cells = _cells(flat, len(planes))
    index = [(points - corner) / cell - 0.5 for points in flat]
    inside = _inside(index, plane_of, (len(planes), *cells))
    plane, row, column = np.nonzero(inside)
    rows, columns = corner[0] + (row + 0.5) * cell[0], corner[1] + (column + 0.5) * cell[1]
    in_plane = rows[:, None] * down + columns[:, None] * right
    layers = (np.arange(_LAYERS) + 0.5) / _LAYERS - 0.5
    points = [in_plane + (planes[plane] + layer * slab_mm)[:, None] * normal for layer in layers]
    volume_mm3 = len(plane) * cell[0] * cell[1] * slab_mm
    return Samples(points_lps=np.concatenate(points), volume_cm3=float(volume_mm3) / 1000.0)


def _depth(name: str, along_normal: NDArray[np.float64]) -> float:
    if np.ptp(along_normal) > _FLAT_MM:
        raise EvaluationRefused(f"{name}: a contour crosses the slices; its volume is not defined")
    return float(along_normal.mean())


def _planes(depths: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the planes' positions along the normal in mm, ascending, and the index of each polygon's plane."""
    order = np.argsort(depths)
    begins = np.concatenate([[True], np.diff(depths[order]) > _ONE_PLANE_MM])
    number = np.cumsum(begins) - 1
    plane_of = np.empty(len(depths), np.intp)
    plane_of[order] = number
    return depths[order][begins], plane_of


def _cells(flat: Polygons, planes: int) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, int]]:
    """Return the lower corner of the box round all polygons, a cell's sides, and the number of cells each way."""
    points = np.concatenate(flat)
    corner, extent = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-6)
    side = float(np.sqrt(extent.prod() * planes * _LAYERS / _SAMPLES))
    count = np.clip(np.ceil(extent / side), *_CELLS).astype(int)
    return corner, extent / count, (int(count[0]), int(count[1]))


def _inside(
    index: Polygons, plane_of: NDArray[np.intp], shape_zyx: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Tell which cells' centres lie inside an odd number of their plane's polygons, as (z, y, x)."""
    unit = Grid(
        shape_zyx=shape_zyx,
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=(1.0, 1.0, 1.0),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    flat = [
        PlanarContour(
            slice_index=int(plane), points_lps=np.column_stack([points[:, ::-1], np.zeros(len(points))])
        )
        for points, plane in zip(index, plane_of, strict=True)
    ]
    return rasterise(flat, unit).full(shape_zyx)

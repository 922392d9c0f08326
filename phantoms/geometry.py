"""Small phantoms of boxes, balls, rings and corner marks, whose voxels can be computed by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.grid import Grid, Vector
from imaging.volumes.volume import Mask, Masks, Volume

OUTSIDE_HU = -1000
INSIDE_HU = 100


class Solid(Protocol):
    """A body that can tell which points it contains."""

    def holds(self, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell whether points (..., 3) in LPS mm lie inside; the surface counts as inside."""
        ...


@dataclass(frozen=True, kw_only=True)
class Cuboid:
    """A box with faces along the patient's axes, by two opposite corners in LPS mm."""

    low: Vector
    high: Vector

    def holds(self, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell whether points lie between the corners."""
        return np.asarray(((points_lps >= self.low) & (points_lps <= self.high)).all(axis=-1))


@dataclass(frozen=True, kw_only=True)
class Ball:
    """A ball by its centre (LPS mm) and radius."""

    centre: Vector
    radius_mm: float

    def holds(self, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell whether points lie within the radius."""
        return np.asarray(((points_lps - np.array(self.centre)) ** 2).sum(axis=-1) <= self.radius_mm**2)


@dataclass(frozen=True, kw_only=True)
class TubeWall:
    """A tube wall along z: an axial ring on every slice, with a hole that contours must keep."""

    centre: Vector
    inner_mm: float
    outer_mm: float
    half_height_mm: float

    def holds(self, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell whether points lie in the wall."""
        offset = points_lps - np.array(self.centre)
        radius = np.hypot(offset[..., 0], offset[..., 1])
        wall = (radius >= self.inner_mm) & (radius <= self.outer_mm)
        return np.asarray(wall & (np.abs(offset[..., 2]) <= self.half_height_mm))


@dataclass(frozen=True, kw_only=True)
class CornerMark:
    """Three bars from one corner, along +x, +y and +z with different lengths: reveals every flip and swap of axes."""

    corner: Vector
    lengths_xyz_mm: Vector
    width_mm: float

    def holds(self, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell whether points lie in a bar."""
        found = np.zeros(points_lps.shape[:-1], bool)
        for axis, length in enumerate(self.lengths_xyz_mm):
            high = np.array(self.corner) + self.width_mm
            high[axis] = self.corner[axis] + length
            x, y, z = (float(v) for v in high)
            found |= Cuboid(low=self.corner, high=(x, y, z)).holds(points_lps)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class GeometryPhantom:
    """A CT of solids and their exact masks."""

    volume: Volume
    masks: Masks


def uneven_grid(shape_zyx: tuple[int, int, int] = (14, 32, 40)) -> Grid:
    """Return a small grid with three different spacings and an origin without round numbers."""
    return Grid(
        shape_zyx=shape_zyx,
        origin_lps=(-31.25, 12.5, -103.0),
        spacing_zyx_mm=(3.0, 1.5, 1.25),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )


def marked_solids() -> dict[str, Solid]:
    """Return solids for ``uneven_grid``: asymmetric, apart from each other, and some voxels inside the grid."""
    return {
        "CornerMark": CornerMark(
            corner=(-27.6, 17.1, -98.0), lengths_xyz_mm=(20.5, 13.0, 30.0), width_mm=5.0
        ),
        "Ball": Ball(centre=(6.0, 44.0, -82.0), radius_mm=9.0),
        "TubeWall": TubeWall(centre=(-14.0, 46.0, -78.0), inner_mm=4.0, outer_mm=9.0, half_height_mm=8.0),
    }


def geometry_phantom(grid: Grid, solids: Mapping[str, Solid]) -> GeometryPhantom:
    """Put solids on any grid: a voxel belongs to a solid if its centre does; 100 HU inside the first, then 200, ..."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape_zyx), indexing="ij"), axis=-1)
    points = grid.points_lps(index)
    hu = np.full(grid.shape_zyx, OUTSIDE_HU, np.int16)
    masks = {}
    for number, (code, solid) in enumerate(solids.items(), 1):
        inside = solid.holds(points)
        hu[inside] = number * INSIDE_HU
        masks[code] = Mask.from_full(inside)
    return GeometryPhantom(volume=Volume(array_zyx=hu, grid=grid), masks=Masks(grid=grid, by_code=masks))

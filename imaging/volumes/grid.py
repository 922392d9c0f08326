"""The lattice of a CT in patient millimetres (DICOM LPS: x to the left, y to the back, z to the head)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Shape, place and directions of a regular voxel lattice; comparable and hashable.

    `origin_lps` is the centre of voxel (0, 0, 0). `axes_lps` are the unit vectors along which the slice, row and
    column index (z, y, x) grow: x is ImageOrientationPatient's first triple, y its second, z their cross product.
    """

    shape_zyx: tuple[int, int, int]
    origin_lps: Vector
    spacing_zyx_mm: Vector
    axes_lps: tuple[Vector, Vector, Vector]

    def __post_init__(self) -> None:
        """Refuse what is not a lattice: empty axes, spacing that is not positive, axes that are not orthonormal."""
        if min(self.shape_zyx) < 1:
            raise ValueError(f"a grid needs at least one voxel along each axis, not {self.shape_zyx}")
        if not all(np.isfinite(s) and s > 0 for s in self.spacing_zyx_mm):
            raise ValueError(f"voxel spacing must be positive, not {self.spacing_zyx_mm} mm")
        axes = np.array(self.axes_lps, float)
        if axes.shape != (3, 3) or not np.allclose(axes @ axes.T, np.eye(3), atol=1e-3):
            raise ValueError(f"grid axes must be three orthonormal vectors, not {self.axes_lps}")

    @property
    def voxel_volume_mm3(self) -> float:
        """The volume of one voxel in mm3."""
        return float(np.prod(self.spacing_zyx_mm))

    def affine(self) -> NDArray[np.float64]:
        """Return the 4x4 matrix that maps (z, y, x, 1) index coordinates to (x, y, z, 1) in LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.array(self.axes_lps, float).T * np.array(self.spacing_zyx_mm, float)
        matrix[:3, 3] = self.origin_lps
        return matrix

    def points_lps(self, index_zyx: ArrayLike) -> NDArray[np.float64]:
        """Return index coordinates (..., 3) in z, y, x order, fractions allowed, as points (..., 3) in LPS mm."""
        steps = np.array(self.axes_lps, float) * np.array(self.spacing_zyx_mm, float)[:, None]
        points: NDArray[np.float64] = np.asarray(index_zyx, float) @ steps + np.array(self.origin_lps, float)
        return points

    def index_zyx(self, points_lps: ArrayLike) -> NDArray[np.float64]:
        """Return points (..., 3) in LPS mm as fractional index coordinates (..., 3) in z, y, x order."""
        steps = np.array(self.axes_lps, float) * np.array(self.spacing_zyx_mm, float)[:, None]
        offset = np.asarray(points_lps, float) - np.array(self.origin_lps, float)
        return np.asarray(offset @ np.linalg.inv(steps), float)

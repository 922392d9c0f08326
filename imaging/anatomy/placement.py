"""Where in the body a structure lies, how large it is and how dense: the numbers that tell one place from another.

Voxels are thinned out evenly, to `MOST_VOXELS` per structure; measurements are exact to about a cell of the body's
profile (4 mm).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.anatomy.profile import BodyProfile
from imaging.anatomy.regions import Region, RegionEstimate
from imaging.volumes.grid import Vector
from imaging.volumes.volume import Mask, Volume

MOST_VOXELS = 20_000
NEAR_MM = 30.0
EDGES = ("inferior", "superior", "anterior", "posterior", "right", "left")


@dataclass(frozen=True, kw_only=True)
class StructurePlacement:
    """One structure of a case; millimetres along the patient's axes (x to the left, y to the back, z to the head).

    `middle_mm`, `top_mm` and `bottom_mm` are x, y, z of the mean of all voxels, or of those within `NEAR_MM` of the
    upper or lower end, relative to the volume's first voxel. `across` is the middle's place in the body's width at its
    height, from -1 at the right end to 1 at the left; `deep` its place in the depth, from 0 in front to 1 at the back.
    `inside` is the share of the voxels that lie in the body. `edges` names the sides of the CT that it touches.
    """

    volume_cc: float
    height_mm: float
    width_mm: float
    depth_mm: float
    middle_mm: Vector
    top_mm: Vector
    bottom_mm: Vector
    across: float
    deep: float
    inside: float
    median_hu: float
    body_cm2: float
    region: Region | None
    edges: tuple[str, ...]


def placements(
    masks: Mapping[str, Mask], upright: Volume, profile: BodyProfile, regions: RegionEstimate
) -> dict[str, StructurePlacement]:
    """Measure every mask that has voxels; masks and volume lie on the same canonical grid."""
    return {
        code: _placed(mask, upright, profile, regions) for code, mask in masks.items() if mask.crop_zyx.any()
    }


def _placed(mask: Mask, upright: Volume, profile: BodyProfile, regions: RegionEstimate) -> StructurePlacement:
    spacing = np.array(upright.grid.spacing_zyx_mm)
    voxels = _some_voxels(mask)
    low, high = (np.array(b) for b in _box(mask))
    size = (high - low) * spacing
    middle = voxels.mean(axis=0)
    top = voxels[voxels[:, 0] * spacing[0] >= voxels[:, 0].max() * spacing[0] - NEAR_MM].mean(axis=0)
    bottom = voxels[voxels[:, 0] * spacing[0] <= voxels[:, 0].min() * spacing[0] + NEAR_MM].mean(axis=0)
    slab = profile.slab_of(middle[0])
    across, deep = _in_body(middle, profile.edges_yx[slab])
    return StructurePlacement(
        volume_cc=mask.voxels() * upright.grid.voxel_volume_mm3 / 1000.0,
        height_mm=float(size[0]),
        depth_mm=float(size[1]),
        width_mm=float(size[2]),
        middle_mm=_point(middle, spacing),
        top_mm=_point(top, spacing),
        bottom_mm=_point(bottom, spacing),
        across=across,
        deep=deep,
        inside=_inside(voxels, profile),
        median_hu=float(np.median(upright.hu_zyx[tuple(voxels.T)])),
        body_cm2=float(profile.area_cm2[slab]),
        region=regions.by_slab[slab],
        edges=edges_touched(mask, upright.grid.shape_zyx),
    )


def _some_voxels(mask: Mask) -> NDArray[np.intp]:
    """Return index coordinates (n, 3) in z, y, x of some of the mask's voxels, evenly spread; at least one."""
    flat = np.flatnonzero(mask.crop_zyx)
    flat = flat[:: max(1, len(flat) // MOST_VOXELS)]
    voxels = np.stack(np.unravel_index(flat, mask.crop_zyx.shape), axis=1) + np.array(mask.start_zyx)
    return np.asarray(voxels, np.intp)


def _box(mask: Mask) -> tuple[list[int], list[int]]:
    """Return the first index, and the index after the last, of the set voxels along z, y and x."""
    low, high = [], []
    for axis, start in enumerate(mask.start_zyx):
        others = tuple(a for a in range(3) if a != axis)
        some = np.flatnonzero(mask.crop_zyx.any(axis=others))
        low.append(start + int(some[0]))
        high.append(start + int(some[-1]) + 1)
    return low, high


def _point(zyx: NDArray[np.float64], spacing: NDArray[np.float64]) -> Vector:
    z, y, x = zyx * spacing
    return float(x), float(y), float(z)


def _in_body(middle: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[float, float]:
    """Return the place in the body's width, -1 to 1, and depth, 0 to 1, at its height; far outside where none is."""
    front, back, right, left = edges
    if np.isnan(edges).any():
        return 9.0, 9.0
    across = 2 * (middle[2] - right) / max(left - right, 1.0) - 1
    return float(across), float((middle[1] - front) / max(back - front, 1.0))


def _inside(voxels: NDArray[np.intp], profile: BodyProfile) -> float:
    cells = np.minimum(voxels // np.array(profile.step_zyx), np.array(profile.body.shape) - 1)
    return float(profile.body[tuple(cells.T)].mean())


def edges_touched(mask: Mask, shape_zyx: tuple[int, int, int]) -> tuple[str, ...]:
    """Name the sides of a canonical grid that a mask with at least one voxel touches."""
    low, high = _box(mask)
    hits = [flag for a, b, n in zip(low, high, shape_zyx, strict=True) for flag in (a == 0, b == n)]
    return tuple(name for name, hit in zip(EDGES, hits, strict=True) if hit)

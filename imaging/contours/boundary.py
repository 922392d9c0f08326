"""Outlines with fewer points than the voxels' own, or smoother ones, each with a bound on how far they may differ.

Exact: `imaging.contours.exact`, the edges of the voxels.

Decimated: a closed polygon of midpoints of voxel edges. It and the voxel outline lie within `tolerance_mm` of each
other, both ways, so that the area between them is at most 2 * tolerance * perimeter; and no loop's area changes by more
than `AREA_SHARE`. With a tolerance below half the smaller pixel spacing no voxel centre changes sides: for such a
centre to lie between chain and chord, the chain would have to pass it nearer than the half spacing at which it runs.

Smooth: each edge between two voxels moves across them to where a field reaches a level: where a probability is one
half, or where the blurred mask reaches the level that keeps the loop's area. It stays between the same two centres, at
least 5 % of the way from either, so the mask is the same; and it lies within half a voxel's in-plane diagonal of the
voxel outline, both ways; no loop's area changes by more than `AREA_SHARE`. Decimated afterwards, the bounds add up.

Polygons never touch or cross themselves or each other. Where a loop cannot keep a bound, it is drawn as its voxels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.contours.areas import areas
from imaging.contours.channels import joined_by_channels
from imaging.contours.crossings import in_contact
from imaging.contours.decimation import Chains, decimated
from imaging.contours.exact import PlanarContour, SliceLoops, contours, slice_loops
from imaging.contours.hole_encoding import HoleEncoding
from imaging.contours.smoothing import ProbabilityField, around, blurred, moved_loops
from imaging.contours.structure_set import GeometricType
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

__all__ = ["AREA_SHARE", "ProbabilityField", "decimated_contours", "half_voxel_mm", "smooth_contours"]

AREA_SHARE = 0.05
_ATTEMPTS = 3


def half_voxel_mm(grid: Grid) -> float:
    """Return the tolerance below which decimation yields the same mask: half the smaller in-plane spacing."""
    return min(grid.spacing_zyx_mm[1:]) / 2


def decimated_contours(
    mask: Mask, grid: Grid, tolerance_mm: float, holes: HoleEncoding = HoleEncoding.KEYHOLE
) -> list[PlanarContour]:
    """Return the outline of every part with as few points as the tolerance allows; otherwise as `contours`.

    A tolerance too small to cut a voxel's corner (0.35 of a square one) leaves the outline as it is.
    """
    plane_mm = np.array(grid.spacing_zyx_mm[1:])
    corner_mm = float(np.prod(plane_mm) / np.linalg.norm(plane_mm)) / 2
    found = _padded_loops(mask)
    if not found or tolerance_mm <= corner_mm * (1 + 1e-9):
        return contours(mask, grid, holes)
    exact = [loop * plane_mm for here in found for loop in here.loops]
    chains = _midpoint_chains(exact, plane_mm)
    fewer = _fewer(chains, exact, _slice_numbers(found), tolerance_mm, corner_mm)
    return _placed(found, fewer, mask, grid, holes)


def smooth_contours(
    mask: Mask,
    grid: Grid,
    *,
    field: ProbabilityField | None = None,
    tolerance_mm: float = 0.0,
    holes: HoleEncoding = HoleEncoding.KEYHOLE,
) -> list[PlanarContour]:
    """Return the outline of every part where `field` is one half; without a field, along the blurred mask, areas kept.

    Decimated within `tolerance_mm` where that is above 0; otherwise as `contours`.
    """
    found = _padded_loops(mask)
    if not found:
        return []
    plane_mm = np.array(grid.spacing_zyx_mm[1:])
    exact = [loop * plane_mm for here in found for loop in here.loops]
    inside = np.pad(mask.crop_zyx, ((0, 0), (1, 1), (1, 1)))
    values = blurred(inside) if field is None else around(field, mask)
    level = None if field is None else 0.5
    moved = [loop * plane_mm for here in found for loop in moved_loops(here, inside, values, level)]
    kept = _area_kept(moved, exact)
    smooth = [a if keep else b for a, b, keep in zip(moved, exact, kept.tolist(), strict=True)]
    if tolerance_mm > 0:
        counts = np.array([len(loop) for loop in smooth])
        points = np.concatenate(smooth)
        chains = Chains(points=points, candidates=np.ones(len(points), np.bool_), counts=counts)
        smooth = _fewer(chains, smooth, _slice_numbers(found), tolerance_mm, 0.0)
    return _placed(found, smooth, mask, grid, holes)


def _padded_loops(mask: Mask) -> list[SliceLoops]:
    if not mask.crop_zyx.any():
        return []
    return list(slice_loops(np.pad(mask.crop_zyx, ((0, 0), (1, 1), (1, 1))).astype(np.uint8)))


def _slice_numbers(found: Sequence[SliceLoops]) -> NDArray[np.int_]:
    return np.repeat(np.arange(len(found)), [len(here.loops) for here in found])


def _midpoint_chains(loops: Sequence[NDArray[np.float64]], plane_mm: NDArray[np.float64]) -> Chains:
    """Return, for each edge, the midpoints of its first and last voxel edges, then its end, which may not be kept."""
    counts = np.array([len(loop) for loop in loops])
    corners = np.concatenate(loops)
    ends = np.cumsum(counts)
    following = np.arange(1, len(corners) + 1)
    following[ends - 1] = ends - counts
    half = np.sign(corners[following] - corners) * plane_mm / 2
    points = np.stack([corners + half, corners[following] - half, corners[following]], axis=1)
    candidates = np.tile([True, True, False], len(corners))
    return Chains(points=points.reshape(-1, 2), candidates=candidates, counts=3 * counts)


def _fewer(
    chains: Chains,
    fallback: Sequence[NDArray[np.float64]],
    slices: NDArray[np.int_],
    tolerance_mm: float,
    least_mm: float,
) -> list[NDArray[np.float64]]:
    """Return the chains decimated; where a bound would not hold, with a smaller tolerance, or else the fallback."""
    result = list(fallback)
    tolerance = np.full(len(result), tolerance_mm)
    pending = np.ones(len(result), np.bool_)
    thinner = np.zeros(len(result), np.bool_)
    for attempt in range(_ATTEMPTS):
        tried = decimated(chains.only(pending), tolerance[pending])
        for k, polygon in zip(np.flatnonzero(pending).tolist(), tried, strict=True):
            result[k] = polygon
        thinner |= pending
        bad = ~_area_kept(result, fallback) | _crowded(result, slices, thinner, pending)
        for k in np.flatnonzero(bad).tolist():
            result[k] = fallback[k]
        thinner &= ~bad
        tolerance[bad] = least_mm * 1.001 + (tolerance[bad] - least_mm) / 4
        pending = bad & (attempt < _ATTEMPTS - 1) & (tolerance > 0)
        if not pending.any():
            break
    return _untangled(result, fallback, slices, thinner)


def _area_kept(
    polygons: Sequence[NDArray[np.float64]], exact: Sequence[NDArray[np.float64]]
) -> NDArray[np.bool_]:
    enough = np.array([len(polygon) >= 3 for polygon in polygons])
    before = areas(list(exact))
    after = areas(list(polygons))
    return np.asarray(enough & (np.abs(after - before) <= AREA_SHARE * np.abs(before)), np.bool_)


def _crowded(
    polygons: Sequence[NDArray[np.float64]],
    slices: NDArray[np.int_],
    thinner: NDArray[np.bool_],
    pending: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Tell which decimated loops lie whose slice has a new loop touching another: such a slice is redrawn whole."""
    crowded = np.zeros(len(polygons), np.bool_)
    for k in np.unique(slices[pending]).tolist():
        here = np.flatnonzero(slices == k)
        if in_contact([polygons[i] for i in here.tolist()], thinner[here]):
            crowded[here] = thinner[here]
    return crowded


def _untangled(
    polygons: list[NDArray[np.float64]],
    fallback: Sequence[NDArray[np.float64]],
    slices: NDArray[np.int_],
    thinner: NDArray[np.bool_],
) -> list[NDArray[np.float64]]:
    """Return the polygons, with the fallback in slices where a decimated loop touches one drawn along its voxels."""
    crowded = _crowded(polygons, slices, thinner, thinner)
    return [fallback[k] if crowded[k] else polygon for k, polygon in enumerate(polygons)]


def _placed(
    found: Sequence[SliceLoops],
    loops: Sequence[NDArray[np.float64]],
    mask: Mask,
    grid: Grid,
    holes: HoleEncoding,
) -> list[PlanarContour]:
    """Return loops given in mm of the padded crop's plane as polygons in the patient, with holes encoded."""
    kind = GeometricType.CLOSED_PLANAR
    if holes is HoleEncoding.XOR and any(here.hollow.any() for here in found):
        kind = GeometricType.CLOSEDPLANAR_XOR
    plane_mm = np.array(grid.spacing_zyx_mm[1:])
    z, y, x = mask.start_zyx
    result, first = [], 0
    for here in found:
        last = first + len(here.loops)
        turned = [
            loop[::-1] if hollow else loop
            for loop, hollow in zip(loops[first:last], here.hollow.tolist(), strict=True)
        ]
        joined = joined_by_channels(turned, here.hollow) if holes is HoleEncoding.KEYHOLE else turned
        first = last
        for polygon in joined:
            index = np.empty((len(polygon), 3))
            index[:, 0] = here.slice_index + z
            index[:, 1:] = polygon / plane_mm + (y - 0.5, x - 0.5)
            result.append(
                PlanarContour(
                    slice_index=here.slice_index + z,
                    points_lps=grid.points_lps(index),
                    geometric_type=kind,
                )
            )
    return result

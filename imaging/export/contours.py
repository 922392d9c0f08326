"""One mask to the polygons that a profile asks for, and what had to be changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from imaging.contours.boundary import ProbabilityField, decimated_contours, half_voxel_mm, smooth_contours
from imaging.contours.exact import PlanarContour, contours
from imaging.errors import StructureSetNotWritable
from imaging.export.profiles import Boundary, ExportProfile
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

_EDGES = np.zeros((3, 3, 3), np.bool_)
_EDGES[1] = [[False, True, False], [True, True, True], [False, True, False]]
_CORNERS = np.zeros((3, 3, 3), np.bool_)
_CORNERS[1] = True
_BELOW_HALF = 0.98


@dataclass(frozen=True, kw_only=True, eq=False)
class Cleaned:
    """A mask without parts and holes that are too small, and how many of them, with how many voxels, were changed."""

    mask: Mask
    islands: int
    island_voxels: int
    holes: int
    hole_voxels: int


@dataclass(frozen=True, kw_only=True)
class Shortened:
    """A contour that had too many points: its slice, its points, and those of each contour that replaced it."""

    slice_index: int
    points_before: int
    points_after: tuple[int, ...]


def cleaned(mask: Mask, grid: Grid, profile: ExportProfile) -> Cleaned:
    """Return the mask without islands, then without holes, smaller within their slice than the profile's limits."""
    pixel_mm2 = grid.spacing_zyx_mm[1] * grid.spacing_zyx_mm[2]
    crop = mask.crop_zyx
    islands, island_voxels = _small(crop, _EDGES, profile.smallest_island_mm2 / pixel_mm2)
    if island_voxels.any():
        crop = crop & ~island_voxels
    holes, hole_voxels = _small_holes(crop, profile.smallest_hole_mm2 / pixel_mm2)
    if hole_voxels.any():
        crop = crop | hole_voxels
    tight = mask if crop is mask.crop_zyx else _tight(crop, mask.start_zyx)
    return Cleaned(
        mask=tight,
        islands=islands,
        island_voxels=int(island_voxels.sum()),
        holes=holes,
        hole_voxels=int(hole_voxels.sum()),
    )


def polygons(
    mask: Mask, grid: Grid, profile: ExportProfile, field: ProbabilityField | None = None
) -> tuple[list[PlanarContour], list[Shortened]]:
    """Return the mask's polygons as the profile draws them, and which of them had more points than its `most_points`.

    Such a contour is drawn again with fewer points, as far as `tolerance_mm` allows (and, for an exact boundary, as far
    as the mask stays the same); where that is not enough, its part is cut in two along the voxels, which changes no
    mask. Raises StructureSetNotWritable where a smooth contour stays too long.
    """
    drawn = _drawn(mask, grid, profile, field)
    limit = profile.most_points
    too_long = {c.slice_index for c in drawn if limit and len(c.points_lps) > limit}
    if not too_long:
        return drawn, []
    if profile.boundary is Boundary.SMOOTH:
        raise StructureSetNotWritable(
            f"a smooth contour on slice {min(too_long)} has more than {limit} points; "
            f"raise the profile's tolerance_mm ({profile.tolerance_mm:g}) or its most_points"
        )
    result: list[PlanarContour] = []
    notes = []
    by_slice: dict[int, list[PlanarContour]] = {}
    for contour in drawn:
        by_slice.setdefault(contour.slice_index, []).append(contour)
    for index, here in sorted(by_slice.items()):
        if index not in too_long:
            result += here
            continue
        for part in _parts(_slice_of(mask, index)):
            found = _within(part, grid, profile)
            before = max(len(c.points_lps) for c in _drawn(part, grid, profile, None))
            after = tuple(len(c.points_lps) for c in found)
            if before > limit:
                notes.append(Shortened(slice_index=index, points_before=before, points_after=after))
            result += found
    return _of_one_type(result), notes


def _drawn(
    mask: Mask, grid: Grid, profile: ExportProfile, field: ProbabilityField | None
) -> list[PlanarContour]:
    if profile.boundary is Boundary.EXACT:
        return contours(mask, grid, profile.holes)
    if profile.boundary is Boundary.DECIMATED:
        return decimated_contours(mask, grid, profile.tolerance_mm, profile.holes)
    return smooth_contours(mask, grid, field=field, tolerance_mm=profile.tolerance_mm, holes=profile.holes)


def _within(part: Mask, grid: Grid, profile: ExportProfile) -> list[PlanarContour]:
    """Return the polygons of a part of one slice, none with more points than the limit."""
    drawn = _drawn(part, grid, profile, None)
    if _longest(drawn) <= profile.most_points:
        return drawn
    tolerance_mm = profile.tolerance_mm
    if profile.boundary is Boundary.EXACT:
        tolerance_mm = min(tolerance_mm, _BELOW_HALF * half_voxel_mm(grid))
    fewer = decimated_contours(part, grid, tolerance_mm, profile.holes)
    if _longest(fewer) <= profile.most_points:
        return fewer
    return [
        contour
        for half in _halves(part)
        for piece in _parts(half)
        for contour in _within(piece, grid, profile)
    ]


def _longest(drawn: Sequence[PlanarContour]) -> int:
    return max(len(contour.points_lps) for contour in drawn)


def _halves(part: Mask) -> tuple[Mask, Mask]:
    """Return a part of one slice cut across its longer side."""
    _, rows, columns = part.crop_zyx.shape
    z, y, x = part.start_zyx
    if rows >= columns:
        middle = rows // 2
        return (
            _tight(part.crop_zyx[:, :middle], (z, y, x)),
            _tight(part.crop_zyx[:, middle:], (z, y + middle, x)),
        )
    middle = columns // 2
    return (
        _tight(part.crop_zyx[:, :, :middle], (z, y, x)),
        _tight(part.crop_zyx[:, :, middle:], (z, y, x + middle)),
    )


def _slice_of(mask: Mask, index: int) -> Mask:
    z, y, x = mask.start_zyx
    return Mask(crop_zyx=mask.crop_zyx[index - z : index - z + 1], start_zyx=(index, y, x))


def _parts(mask: Mask) -> Iterator[Mask]:
    """Yield each part of one slice whose voxels share edges."""
    labels, count = label(mask.crop_zyx, _EDGES)
    for number in range(1, count + 1):
        yield _tight(labels == number, mask.start_zyx)


def _tight(crop: NDArray[np.bool_], start_zyx: tuple[int, int, int]) -> Mask:
    inner = Mask.from_full(crop)
    z, y, x = (a + b for a, b in zip(inner.start_zyx, start_zyx, strict=True))
    return Mask(crop_zyx=inner.crop_zyx, start_zyx=(z, y, x))


def _small(
    crop: NDArray[np.bool_], connected: NDArray[np.bool_], least_voxels: float
) -> tuple[int, NDArray[np.bool_]]:
    """Return how many in-plane parts have fewer than `least_voxels` voxels, and their voxels."""
    if least_voxels <= 1 or not crop.any():
        return 0, np.zeros(crop.shape, np.bool_)
    labels, _ = label(crop, connected)
    sizes = np.bincount(labels.ravel())
    small = sizes < least_voxels - 1e-9
    small[0] = False
    return int(small.sum()), np.asarray(small[labels], np.bool_)


def _small_holes(crop: NDArray[np.bool_], least_voxels: float) -> tuple[int, NDArray[np.bool_]]:
    if least_voxels <= 1 or not crop.any():
        return 0, np.zeros(crop.shape, np.bool_)
    outside = ~np.pad(crop, ((0, 0), (1, 1), (1, 1)))
    labels, _ = label(outside, _CORNERS)
    labels[np.isin(labels, labels[:, 0, 0])] = 0
    sizes = np.bincount(labels.ravel())
    small = sizes < least_voxels - 1e-9
    small[0] = False
    return int((small & (sizes > 0)).sum()), np.asarray(small[labels][:, 1:-1, 1:-1], np.bool_)


def _of_one_type(drawn: list[PlanarContour]) -> list[PlanarContour]:
    """Return all contours as XOR where one of them is: types are not mixed in an ROI."""
    kinds = {contour.geometric_type for contour in drawn}
    if len(kinds) < 2:
        return drawn
    return [
        PlanarContour(slice_index=c.slice_index, points_lps=c.points_lps, geometric_type=max(kinds, key=len))
        for c in drawn
    ]

"""The ROIs of a structure set as masks on a CT's grid, with a note for everything that is not straightforward."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.contours.exact import PlanarContour
from imaging.contours.rasterise import rasterise
from imaging.contours.structure_set import GeometricType, ReadContour, Roi, StructureSet
from imaging.ct.series import ImageSeries
from imaging.errors import StructureSetUnreadable
from imaging.rtstruct.overlaps import note_overlaps, same_outline
from imaging.rtstruct.stated_volume import compare_volume
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

_PLANE_TOLERANCE = 0.25  # of a slice distance: a contour that extends further does not lie in a slice
_OFF_CENTRE_MM = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiMasks:
    """A mask for every ROI by its number (empty where no contour is closed), and notes for people.

    An ROI that cannot be read, or lies in another frame of reference, has no mask and a note.
    """

    grid: Grid
    by_number: Mapping[int, Mask]
    notes: tuple[str, ...]


def masks_on_grid(
    structure_set: StructureSet, target: ImageSeries | Grid, frame_of_reference_uid: str = ""
) -> RoiMasks:
    """Return every ROI as a mask on the grid of a CT, or on a grid in a frame of reference ("": any).

    A voxel belongs to an ROI if its centre lies inside an odd number of the closed contours on its slice: nested,
    keyhole and XOR contours give the same mask. A contour belongs to the nearest slice; where contours of several
    planes fall on one slice, those of the nearest plane count. Slices between contours stay empty: nothing is
    interpolated. Notes report contours outside the grid or across slices, of planes between slices, of gaps and
    repetitions, of partially overlapping contours and what the even-odd rule leaves out there, ROIs without a mask, and
    any stated ROI Volume that disagrees with what the contours enclose.

    Raises StructureSetUnreadable where the structure set belongs to a frame of reference other than the given CT's.
    """
    if isinstance(target, ImageSeries):
        grid, frame_uid = target.volume.grid, target.frame_of_reference_uid
    else:
        grid, frame_uid = target, frame_of_reference_uid
    if isinstance(target, ImageSeries) or frame_uid:
        _check_frame(structure_set, frame_uid)
    notes = list(structure_set.notes)
    readable = list(_readable(structure_set, frame_uid, notes))
    by_number = {
        roi.number: _mask(f"ROI {roi.number} '{roi.name}'", roi.closed, grid, notes) for roi in readable
    }
    for roi in readable:
        voxels_cm3 = by_number[roi.number].voxels() * grid.voxel_volume_mm3 / 1000
        compared = compare_volume(roi.volume_cm3, roi.contours, grid.spacing_zyx_mm[0], voxels_cm3)
        if compared and not compared.agrees:
            stated = f"ROI {roi.number} '{roi.name}': states {compared.stated_cm3:.3f} cm3"
            span = f"its contours enclose {compared.least_cm3:.3f} to {compared.most_cm3:.3f}"
            notes.append(f"{stated}, {span}, its voxels {voxels_cm3:.3f}")
    return RoiMasks(grid=grid, by_number=by_number, notes=tuple(notes))


def _readable(structure_set: StructureSet, frame_uid: str, notes: list[str]) -> Iterator[Roi]:
    """Yield the ROIs that can be masks on images in this frame of reference ("" for any); the others get a note."""
    for roi in structure_set.rois:
        fault = roi.fault
        if not fault and frame_uid and roi.frame_of_reference_uid not in ("", frame_uid):
            found = f"it lies in frame of reference {roi.frame_of_reference_uid} (3006,0024)"
            fault = f"{found}, the images in {frame_uid}"
        if fault:
            notes.append(f"ROI {roi.number} '{roi.name}' is left out: {fault}")
        else:
            yield roi


def _check_frame(structure_set: StructureSet, frame_uid: str) -> None:
    frames = structure_set.frame_of_reference_uids
    if frames and frame_uid not in frames:
        found = f"the structure set lies in frame of reference {', '.join(frames)}"
        raise StructureSetUnreadable(f"{found}, the CT in {frame_uid} (0020,0052)")


def voxels_inside(contours: Sequence[ReadContour], grid: Grid) -> int:
    """Count the voxels inside the closed contours of one ROI, filled as `masks_on_grid` does."""
    return _mask("", [contour for contour in contours if contour.is_closed], grid, []).voxels()


def _mask(called: str, closed: Sequence[ReadContour], grid: Grid, notes: list[str]) -> Mask:
    if not closed:
        return Mask.empty()
    slices, off_slices = _slices(closed, grid)
    placed = (slices >= 0) & (slices < grid.shape_zyx[0])
    keep = placed & _nearest_plane(slices, off_slices)
    kept = np.flatnonzero(keep).tolist()
    unique = _without_repetitions(closed, kept)
    for count, words in (
        (int((~placed).sum()), "outside the CT or across its slices are left out"),
        (int((placed & ~keep).sum()), "on planes further from their slice than others are left out"),
        (len(kept) - len(unique), "that repeat another's outline are left out"),
        (_gaps(slices[keep]), "between its contours have none"),
    ):
        if count:
            notes.append(f"{called}: {count} {'slice(s)' if 'between' in words else 'contour(s)'} {words}")
    off_mm = float(np.abs(off_slices[keep]).max(initial=0)) * grid.spacing_zyx_mm[0]
    if off_mm > _OFF_CENTRE_MM:
        notes.append(f"{called}: its planes lie up to {off_mm:.2f} mm off the slices")
    polygons = [PlanarContour(slice_index=int(slices[k]), points_lps=closed[k].points_lps) for k in unique]
    mask = rasterise(polygons, grid)
    if all(
        closed[k].geometric_type is GeometricType.CLOSED_PLANAR for k in unique
    ):  # XOR contours may overlap
        note_overlaps(called, polygons, mask, grid, notes)
    return mask


def _slices(closed: Sequence[ReadContour], grid: Grid) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Return each contour's nearest slice (-1 where it lies in none), and its plane's distance from it in slices."""
    counts = np.array([len(contour.points_lps) for contour in closed])
    starts = np.cumsum(counts) - counts
    points = np.concatenate([contour.points_lps for contour in closed])
    depth = (points - grid.origin_lps) @ np.array(grid.axes_lps[0]) / grid.spacing_zyx_mm[0]
    low, high = np.minimum.reduceat(depth, starts), np.maximum.reduceat(depth, starts)
    middle = (low + high) / 2
    slices = np.floor(np.round(middle, 6) + 0.5).astype(int)
    slices[high - low > 2 * _PLANE_TOLERANCE] = -1
    return slices, middle - slices


def _nearest_plane(slices: NDArray[np.int_], off_slices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which contours lie on the plane nearest to their slice; planes within 0.01 slices count as one."""
    nearest: dict[int, float] = {}
    distance = np.abs(off_slices)
    for k, away in sorted(
        zip(slices.tolist(), off_slices.tolist(), strict=True), key=lambda pair: abs(pair[1])
    ):
        nearest.setdefault(k, away)
    best = np.array([nearest[k] for k in slices.tolist()])
    return np.asarray(np.abs(off_slices - best) <= 0.01, np.bool_) & (distance <= 0.5 + 1e-6)


def _without_repetitions(closed: Sequence[ReadContour], kept: Sequence[int]) -> list[int]:
    """Return the contours without those whose outline repeats that of an earlier plain closed one; XOR contours stay.

    Outlines are equal regardless of starting point and direction.
    """
    seen: set[bytes] = set()
    unique = []
    for k in kept:
        contour = closed[k]
        points = same_outline(contour.points_lps)
        if contour.geometric_type is GeometricType.CLOSED_PLANAR and points in seen:
            continue
        seen.add(points)
        unique.append(k)
    return unique


def _gaps(slices: NDArray[np.int_]) -> int:
    """Count the slices between the first and the last that have no contour."""
    return int(np.ptp(slices)) + 1 - len(np.unique(slices)) if len(slices) else 0

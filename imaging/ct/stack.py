"""Whether slices make one regular, straight, axial stack, from their headers alone.

Tolerances, and why:
- 0.1 mm between a slice and its place in a regular straight stack. Positions are decimal strings, and some systems
  write one decimal: such a slice lies up to 0.05 mm off, and so do the first and last slice that define the stack.
  It is a tenth of the finest pixel used in planning. Contours keep each slice's own position all the same.
- 0.01 mm: slices nearer than this are at the same position.
- 1e-3 between the direction cosines of two slices, and from orthonormal: they are written with 3 digits or more.
- 20 degrees between the patient's axes and the image's: couch and head rotations are less, reformats are more.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.ct.gaps import gaps_in, missing
from imaging.ct.headers import SliceHeader
from imaging.ct.raw_slice import named
from imaging.errors import ImageRefused, RefusalCode
from imaging.volumes.grid import Grid, Vector

POSITION_TOLERANCE_MM = 0.1
SAME_POSITION_MM = 0.01
MOST_VOXELS = 1 << 31  # 4 GiB of HU; 2000 slices of 1024 x 1024
COSINE_TOLERANCE = 1e-3
OBLIQUE_LIMIT_DEG = 20.0
_TILT_TOLERANCE_DEG = 0.5
_FRAME = "FrameOfReferenceUID"
_POSITION, _ORIENTATION = named("ImagePositionPatient"), named("ImageOrientationPatient")


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A checked stack: the grid of its volume, and which of the headers stands at each slice index."""

    grid: Grid
    order: tuple[int, ...]


def check_stack(headers: Sequence[SliceHeader]) -> Stack:
    """The grid of the stack these slices make, in any order; ImageRefused says what is missing or contradictory.

    Slice index grows along the normal of the images (row direction x column direction). A stack whose end is
    missing, or of which every second slice is, looks whole: geometry cannot tell.
    """
    if len(headers) < 2:
        found = f"the series has {len(headers)} slice(s) and no spacing can be told from them"
        raise ImageRefused(RefusalCode.TOO_FEW_SLICES, f"{found}. Send at least two slices.")
    _check_one_series(headers)
    axes = _axes(headers[0])
    positions = np.array([header.position_lps for header in headers])
    along = positions @ axes[0]
    order = np.argsort(along, kind="stable")
    ordered = [headers[i] for i in order]
    _check_straight(ordered, positions[order], along[order], axes)
    _check_axial(ordered[0], axes)
    _check_duplicates(ordered, along[order])
    spacing = _check_spacing(ordered, along[order])
    first = ordered[0]
    _check_size(len(ordered), first)
    grid = Grid(
        shape_zyx=(len(headers), first.rows, first.columns),
        origin_lps=_vector(first.position_lps),
        spacing_zyx_mm=(spacing, first.pixel_spacing_mm[0], first.pixel_spacing_mm[1]),
        axes_lps=(_vector(axes[0]), _vector(axes[1]), _vector(axes[2])),
    )
    return Stack(grid=grid, order=tuple(int(i) for i in order))


def _check_size(slices: int, first: SliceHeader) -> None:
    voxels = slices * first.rows * first.columns
    if voxels > MOST_VOXELS:
        found = f"{slices} slices of {first.rows} x {first.columns} are {voxels} voxels"
        raise ImageRefused(
            RefusalCode.BAD_ATTRIBUTE,
            f"{found}, more than the {MOST_VOXELS} that are read. Export the region to be contoured alone.",
        )


def _check_one_series(headers: Sequence[SliceHeader]) -> None:
    first = headers[0]
    for other in headers[1:]:
        for code, keyword, found, expected in (
            (RefusalCode.MIXED_SERIES, "StudyInstanceUID", other.study_uid, first.study_uid),
            (RefusalCode.MIXED_SERIES, "SeriesInstanceUID", other.series_uid, first.series_uid),
            (RefusalCode.MIXED_FRAMES, _FRAME, other.frame_of_reference_uid, first.frame_of_reference_uid),
        ):
            if found != expected:
                raise _mixed(code, keyword, (other, found), (first, expected))
        _check_alike(other, first)


def _check_alike(other: SliceHeader, first: SliceHeader) -> None:
    if np.abs(np.subtract(other.orientation, first.orientation)).max() > COSINE_TOLERANCE:
        keyword = "ImageOrientationPatient"
        found, expected = (other, other.orientation), (first, first.orientation)
        raise _mixed(RefusalCode.MIXED_ORIENTATION, keyword, found, expected)
    if not np.allclose(other.pixel_spacing_mm, first.pixel_spacing_mm, rtol=1e-4, atol=0):
        found, expected = (other, other.pixel_spacing_mm), (first, first.pixel_spacing_mm)
        raise _mixed(RefusalCode.MIXED_GEOMETRY, "PixelSpacing", found, expected)
    if (other.rows, other.columns) != (first.rows, first.columns):
        keyword = "Rows" if other.rows != first.rows else "Columns"
        sizes = [(h, f"{h.rows} x {h.columns}") for h in (other, first)]
        raise _mixed(RefusalCode.MIXED_GEOMETRY, keyword, sizes[0], sizes[1])


def _mixed(
    code: RefusalCode, keyword: str, one: tuple[SliceHeader, object], other: tuple[SliceHeader, object]
) -> ImageRefused:
    (a, found), (b, expected) = one, other
    words = f"image {a.sop_instance_uid} has {found}, image {b.sop_instance_uid} has {expected}"
    return ImageRefused(
        code, f"{named(keyword)} differs inside the series: {words}. Send one series at a time."
    )


def _axes(header: SliceHeader) -> NDArray[np.float64]:
    """Unit vectors of slice, row and column index in LPS, made exactly orthonormal; rows of a 3x3 array."""
    along_row, along_column = np.array(header.orientation[:3]), np.array(header.orientation[3:])
    lengths = [float(np.linalg.norm(v)) for v in (along_row, along_column)]
    if (
        max(abs(n - 1) for n in lengths) > COSINE_TOLERANCE
        or abs(along_row @ along_column) > COSINE_TOLERANCE
    ):
        found = (
            f"image {header.sop_instance_uid}: {_ORIENTATION} is {header.orientation}, not two unit vectors"
        )
        raise ImageRefused(RefusalCode.BAD_ATTRIBUTE, f"{found} at right angles. Export the series again.")
    x = along_row / lengths[0]
    y = along_column - (along_column @ x) * x
    y /= np.linalg.norm(y)
    return np.array([np.cross(x, y), y, x]) + 0.0


def _check_straight(
    ordered: Sequence[SliceHeader],
    positions: NDArray[np.float64],
    along: NDArray[np.float64],
    axes: NDArray[np.float64],
) -> None:
    sideways = (positions - positions[0]) @ axes[1:].T  # mm along rows and columns
    depth = along - along[0]
    slope = depth @ sideways / max(float(depth @ depth), 1e-12)
    angle = math.degrees(math.atan(float(np.linalg.norm(slope))))
    off = np.linalg.norm(sideways, axis=1)
    if off.max() <= POSITION_TOLERANCE_MM:
        return
    tilt = ordered[0].gantry_tilt_deg
    residual = np.linalg.norm(sideways - depth[:, None] * slope, axis=1).max()
    if residual <= 10 * POSITION_TOLERANCE_MM or (tilt and abs(tilt) > _TILT_TOLERANCE_DEG):
        stated = f", {named('GantryDetectorTilt')} says {tilt:g}" if tilt is not None else ""
        found = f"series {ordered[0].series_uid}: the slices are sheared by {angle:.1f} degrees ({_POSITION}{stated})"
        raise ImageRefused(
            RefusalCode.GANTRY_TILT, f"{found}: the gantry was tilted. Scan or resample without tilt."
        )
    worst = ordered[int(off.argmax())]
    found = f"image {worst.sop_instance_uid} lies {off.max():.2f} mm beside the stack ({_POSITION})"
    raise ImageRefused(RefusalCode.MIXED_GEOMETRY, f"{found}. Send one reconstruction at a time.")


def _check_axial(header: SliceHeader, axes: NDArray[np.float64]) -> None:
    cosines = np.abs(axes).max(axis=1)
    worst = math.degrees(math.acos(min(1.0, float(cosines.min()))))
    to_head = math.degrees(math.acos(min(1.0, abs(float(axes[0, 2])))))
    if max(worst, to_head) > OBLIQUE_LIMIT_DEG:
        found = f"series {header.series_uid}: {_ORIENTATION} {header.orientation} is {max(worst, to_head):.0f} degrees"
        raise ImageRefused(RefusalCode.NOT_AXIAL, f"{found} from axial. Send the axial reconstruction.")
    tilt = header.gantry_tilt_deg or 0.0
    if abs(tilt) > _TILT_TOLERANCE_DEG and to_head < _TILT_TOLERANCE_DEG:
        found = f"series {header.series_uid}: {named('GantryDetectorTilt')} says {tilt:g} degrees, but {_ORIENTATION}"
        message = f"{found} shows no tilt: one of them is wrong. Scan or resample without tilt."
        raise ImageRefused(RefusalCode.GANTRY_TILT, message)


def _check_duplicates(ordered: Sequence[SliceHeader], along: NDArray[np.float64]) -> None:
    for uid, count in Counter(header.sop_instance_uid for header in ordered).items():
        if count > 1:
            message = f"image {uid} is in the series {count} times. Send each image once."
            raise ImageRefused(RefusalCode.DUPLICATE_SLICES, message)
    same = np.flatnonzero(np.diff(along) <= SAME_POSITION_MM)
    if len(same):
        a, b = ordered[same[0]], ordered[same[0] + 1]
        found = (
            f"{len(same)} position(s) hold more than one slice, the first z={_z(a)} mm: {_POSITION} of images"
        )
        message = f"{found} {a.sop_instance_uid} and {b.sop_instance_uid}. Send one phase or reconstruction at a time."
        pair = (a.sop_instance_uid, b.sop_instance_uid)
        raise ImageRefused(RefusalCode.DUPLICATE_SLICES, message, images=pair)


def _check_spacing(ordered: Sequence[SliceHeader], along: NDArray[np.float64]) -> float:
    """The spacing in mm of slices that are evenly spaced; ImageRefused where some are missing or misplaced."""
    gaps = np.diff(along)
    usual = _usual(gaps)
    steps = np.maximum(np.rint(gaps / usual), 1).astype(int)
    tolerance = POSITION_TOLERANCE_MM + 0.01 * steps * usual
    if steps.max() > 1 and np.all(np.abs(gaps - steps * usual) <= tolerance):
        apart = f"slices are {usual:g} mm apart by {_POSITION}"
        message = f"{missing(gaps_in(ordered, steps))}; {apart}. Send the missing images."
        raise ImageRefused(RefusalCode.MISSING_SLICES, message)
    spacing = float(along[-1] - along[0]) / len(gaps)
    off = np.abs(along - along[0] - spacing * np.arange(len(along)))
    if off.max() > POSITION_TOLERANCE_MM:
        odd = int(np.abs(gaps - usual).argmax())
        found = f"slices are {gaps.min():.3f} to {gaps.max():.3f} mm apart ({_POSITION}), most of them {usual:g} mm"
        place = f"not so between z={_z(ordered[odd])} and z={_z(ordered[odd + 1])} mm"
        message = f"{found}, {place}. Send a series of one slice spacing."
        raise ImageRefused(RefusalCode.IRREGULAR_SPACING, message)
    return round(spacing, 9)


def _usual(gaps: NDArray[np.float64]) -> float:
    """The distance that most neighbours have; of several the smallest."""
    ascending = np.sort(gaps)
    alike = np.abs(ascending[:, None] - ascending) <= POSITION_TOLERANCE_MM + 1e-6
    return float(ascending[alike[alike.sum(axis=1).argmax()]].mean())


def _z(header: SliceHeader) -> str:
    return f"{header.position_lps[2]:g}"


def _vector(values: Sequence[float] | NDArray[np.float64]) -> Vector:
    x, y, z = (float(v) for v in values)
    return x, y, z

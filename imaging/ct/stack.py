"""Whether slices make one regular, straight stack, axial where it is CT, from their headers alone.

Tolerances, and why:
- 0.1 mm along the stack between a slice and its place at even spacing (`imaging.ct.spacing`).
- 0.25 mm sideways between a slice and the line of the stack: a quarter of a pixel used in planning, and more than the
  noise of registration and rounding. Contours keep each slice's own position all the same.
- 0.1 mm: slices nearer than this along the stack are two images of one position; 0.01 mm: at exactly the same position.
- 1e-3 between the direction cosines of two slices, and from orthonormal: they are written with 3 digits or more.
- 20 degrees between the patient's axes and the image's: couch and head rotations are less, reformats are more.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.ct.acquisitions import check_one_acquisition, differences
from imaging.ct.headers import SliceHeader
from imaging.ct.raw_slice import named
from imaging.ct.spacing import even_spacing
from imaging.errors import ImageRefused, RefusalCode
from imaging.volumes.grid import Grid, Vector

SIDEWAYS_TOLERANCE_MM = 0.25
SAME_POSITION_MM = 0.01
NEAR_MM = 0.1
MOST_VOXELS = 1 << 31  # 4 GiB of HU; 2000 slices of 1024 x 1024
COSINE_TOLERANCE = 1e-3
OBLIQUE_LIMIT_DEG = 20.0
_TILT_TOLERANCE_DEG = 0.5
_MOST_PAIRS = 20_000
_FRAME = "FrameOfReferenceUID"
_POSITION, _ORIENTATION = named("ImagePositionPatient"), named("ImageOrientationPatient")


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A checked stack.

    The grid of its volume, which of the headers belongs to each slice index, and notes.
    """

    grid: Grid
    order: tuple[int, ...]
    notes: tuple[str, ...] = ()


Axes = NDArray[np.float64]
"""Unit vectors of slice, row and column index in LPS, the rows of a 3x3 array."""


@dataclass(frozen=True, kw_only=True)
class StackRules:
    """What a stack must fulfil besides regular geometry, by its kind of image; each check raises ImageRefused."""

    one_volume: Callable[[Sequence[SliceHeader]], None]  # of slices in any order
    one_acquisition: Callable[[Sequence[SliceHeader]], None]  # of slices in their order along the stack
    planes: Callable[[SliceHeader, Axes], str]  # returns a note, usually ""


def check_stack(headers: Sequence[SliceHeader], rules: StackRules | None = None) -> Stack:
    """Return the grid of the stack that these slices make, in any order; ImageRefused says what is missing or wrong.

    Without `rules` it is a CT: axial, of one acquisition.

    Slice index grows along the normal of the images (row direction x column direction). A stack that lacks
    its end or every second slice looks complete: geometry cannot tell.
    """
    if len(headers) < 2:
        found = f"the series has {len(headers)} slice(s) and no spacing can be told from them"
        raise ImageRefused(RefusalCode.TOO_FEW_SLICES, f"{found}. Send at least two slices.")
    rules = rules or CT_STACK
    rules.one_volume(headers)
    axes, order = _axes_and_order(headers)
    positions = np.array([header.position_lps for header in headers])
    along = positions @ axes[0]
    ordered = [headers[i] for i in order]
    _check_duplicates(ordered, along[order])
    rules.one_acquisition(ordered)
    _check_straight(ordered, positions[order], along[order], axes)
    note = rules.planes(ordered[0], axes)
    spacing = even_spacing(ordered, along[order])
    first = ordered[0]
    _check_size(len(ordered), first)
    grid = Grid(
        shape_zyx=(len(headers), first.rows, first.columns),
        origin_lps=_vector(first.position_lps),
        spacing_zyx_mm=(spacing, first.pixel_spacing_mm[0], first.pixel_spacing_mm[1]),
        axes_lps=(_vector(axes[0]), _vector(axes[1]), _vector(axes[2])),
    )
    return Stack(grid=grid, order=tuple(int(i) for i in order), notes=(note,) if note else ())


def image_order(headers: Sequence[SliceHeader]) -> tuple[tuple[Vector, Vector, Vector], tuple[int, ...]]:
    """Return the axes (slice, row, column index in LPS) of one series' images, and their order along the first.

    Their distances do not matter, nor their number (at least one). Raises ImageRefused where they are not of one
    series, frame of reference, orientation and size.
    """
    axes, order = _axes_and_order(headers)
    return (_vector(axes[0]), _vector(axes[1]), _vector(axes[2])), tuple(int(i) for i in order)


def _axes_and_order(headers: Sequence[SliceHeader]) -> tuple[Axes, NDArray[np.int_]]:
    _check_one_series(headers)
    axes = image_axes(headers[0])
    along = np.array([header.position_lps for header in headers]) @ axes[0]
    return axes, np.argsort(along, kind="stable")


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


def image_axes(header: SliceHeader) -> Axes:
    """Return unit vectors of slice, row and column index in LPS, made exactly orthonormal, as rows of a 3x3 array."""
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
    axes: Axes,
) -> None:
    """Refuse (ImageRefused) a stack in which a slice lies off the stack's line, naming the slice or the shear."""
    sideways = (positions - positions[0]) @ axes[1:].T  # mm along rows and columns
    off = np.linalg.norm(sideways - np.median(sideways, axis=0), axis=1)
    if off.max() <= SIDEWAYS_TOLERANCE_MM:
        return
    depth = along - along[0]
    slope = _shear(depth, sideways)
    off_line = np.linalg.norm(sideways - depth[:, None] * slope - _middle(sideways, depth, slope), axis=1)
    aside, aside_line = (int(np.count_nonzero(mm > SIDEWAYS_TOLERANCE_MM)) for mm in (off, off_line))
    one_of_many = aside == 1 and len(ordered) > 2
    if not one_of_many and aside_line < aside and aside_line <= len(ordered) // 5:
        raise _sheared(ordered[0], slope, float(depth[-1]))
    raise _aside(ordered, off)


def _shear(depth: NDArray[np.float64], sideways: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many mm a stack shifts along rows and columns per mm of depth.

    The median over pairs of slices (Theil, Sen).
    """
    first, second = np.triu_indices(len(depth), 1)
    if len(first) > _MOST_PAIRS:
        chosen = np.linspace(0, len(first) - 1, _MOST_PAIRS).astype(int)
        first, second = first[chosen], second[chosen]
    apart = np.maximum(depth[second] - depth[first], 1e-12)
    return np.asarray(np.median((sideways[second] - sideways[first]) / apart[:, None], axis=0), np.float64)


def _middle(
    sideways: NDArray[np.float64], depth: NDArray[np.float64], slope: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.asarray(np.median(sideways - depth[:, None] * slope, axis=0), np.float64)


def _aside(ordered: Sequence[SliceHeader], off: NDArray[np.float64]) -> ImageRefused:
    worst, count = ordered[int(off.argmax())], int(np.count_nonzero(off > SIDEWAYS_TOLERANCE_MM))
    others = f"the line of the other {len(ordered) - count} slices"
    if count > 1:
        others += f", as {count - 1} more by more than {SIDEWAYS_TOLERANCE_MM:g} mm"
    found = f"image {worst.sop_instance_uid} at {worst.place} mm lies {off.max():.2f} mm beside {others} ({_POSITION})"
    return ImageRefused(
        RefusalCode.MIXED_GEOMETRY, f"{found}. Send one reconstruction, as it left the scanner."
    )


def _sheared(first: SliceHeader, slope: NDArray[np.float64], depth_mm: float) -> ImageRefused:
    steepness = float(np.linalg.norm(slope))
    angle, drift = math.degrees(math.atan(steepness)), steepness * depth_mm
    stated = ""
    if first.gantry_tilt_deg is not None:
        stated = f", {named('GantryDetectorTilt')} says {first.gantry_tilt_deg:g}"
    found = f"series {first.series_uid}: the slices are sheared by {angle:.1f} degrees ({_POSITION}{stated})"
    if angle >= _TILT_TOLERANCE_DEG:
        message = f"{found}: the gantry was tilted. Scan or resample without tilt."
    else:
        found = f"series {first.series_uid}: the slices drift {drift:.2f} mm aside over {depth_mm:g} mm ({_POSITION}{stated})"
        message = f"{found}. Resample the series without shear."
    return ImageRefused(RefusalCode.GANTRY_TILT, message)


def off_axial_deg(axes: Axes) -> float:
    """Return by how many degrees the planes, or the axes in them, deviate from the nearest axial orientation."""
    return max(off_patient_axes_deg(axes), _to_head_deg(axes))


def off_patient_axes_deg(axes: Axes) -> float:
    """Return by how many degrees the most oblique axis deviates from the nearest axis of the patient."""
    return math.degrees(math.acos(min(1.0, float(np.abs(axes).max(axis=1).min()))))


def _to_head_deg(axes: Axes) -> float:
    return math.degrees(math.acos(min(1.0, abs(float(axes[0, 2])))))


def _check_axial(header: SliceHeader, axes: Axes) -> str:
    """Return a note where the geometry does not show a stated tilt, else ""; refuse planes that are not axial."""
    off = off_axial_deg(axes)
    if off > OBLIQUE_LIMIT_DEG:
        found = f"series {header.series_uid}: {_ORIENTATION} {header.orientation} is {off:.0f} degrees"
        raise ImageRefused(RefusalCode.NOT_AXIAL, f"{found} from axial. Send the axial reconstruction.")
    tilt = header.gantry_tilt_deg or 0.0
    if abs(tilt) <= _TILT_TOLERANCE_DEG or _to_head_deg(axes) >= _TILT_TOLERANCE_DEG:
        return ""
    return f"{named('GantryDetectorTilt')} says {tilt:g} degrees, {_ORIENTATION} and {_POSITION} show none; these are taken"


CT_STACK = StackRules(
    one_volume=lambda _headers: None, one_acquisition=check_one_acquisition, planes=_check_axial
)


def _check_duplicates(ordered: Sequence[SliceHeader], along: NDArray[np.float64]) -> None:
    for uid, count in Counter(header.sop_instance_uid for header in ordered).items():
        if count > 1:
            message = f"image {uid} is in the series {count} times. Send each image once."
            raise ImageRefused(RefusalCode.DUPLICATE_SLICES, message)
    near = np.diff(along)
    same = np.flatnonzero(near <= NEAR_MM)
    if len(same):
        a, b = ordered[same[0]], ordered[same[0] + 1]
        apart = float(near[same].max())
        nearly = "" if apart <= SAME_POSITION_MM else f", up to {apart:.2g} mm apart"
        found = f"{len(same)} position(s) hold more than one slice{nearly}, the first {a.place} mm: {_POSITION} of images"
        unlike = differences((a, b))
        differ = f"; they differ in {unlike}" if unlike else ""
        message = f"{found} {a.sop_instance_uid} and {b.sop_instance_uid}{differ}. Send one phase or reconstruction at a time."
        pair = (a.sop_instance_uid, b.sop_instance_uid)
        raise ImageRefused(RefusalCode.DUPLICATE_SLICES, message, images=pair)


def _vector(values: Sequence[float] | NDArray[np.float64]) -> Vector:
    x, y, z = (float(v) for v in values)
    return x, y, z

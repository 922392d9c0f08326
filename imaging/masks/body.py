"""The patient's outline in a CT, without couch, head rest and mask, and with the air inside filled.

Method: airways and sinuses, the holes of a slice no longer than `HOLE_MM`, count as dense. What is denser than a
threshold and survives an opening by `OPENING_MM` in the slice's plane is thick; the shells of couches, head rests and
masks are thin and are removed. Of the thick pieces, the largest is the patient, with others of at least `SHARE` of its
volume (two legs), unless they are wide and flat like a board. Thin parts next to it (ears, nose, vertex) are restored
where they are no longer than `THIN_PART_MM`; a longer one is a shell. Where the patient lies on a flat board, the
board's upper face is known from beside the patient, and the patient ends there. Each slice's enclosed air is filled;
air that is open to the outside in its slice stays out.

Only the image's own rows and columns are used, never anatomical directions, so every patient position gives the same
result. Limits: a solid board thicker than `OPENING_MM` that touches the patient stays; so does the thickness of a
curved couch, a mask or a head rest where it touches the skin; a thin part that touches a long shell is removed with it;
lungs cut by the edge of the image stay open.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.masks.hounsfield import BODY_THRESHOLD_HU
from imaging.masks.morphology import enclosed
from imaging.volumes.volume import Mask, Volume

OPENING_MM = 8.0
SHARE = 0.2
BOARD_ASPECT = 5.0
HOLE_MM = 90.0
THIN_PART_MM = 60.0
BOARD_MM = 100.0
DEEPEST_MM = 15.0
FLAT_SHARE = 0.5  # of a board's columns: in the others the patient hides its face
_BLOCK_MM = 4.0
_AROUND_MM = 80.0

Plane = NDArray[np.bool_]
Stack = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _Pixels:
    """The lengths used here, in pixels of one image (rows, columns)."""

    spacing_mm: tuple[float, float]
    half_opening: tuple[int, int]
    block: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class _Face:
    """The face of a flat board in one slice: whether below the patient in the image, its row and its columns."""

    below: bool
    row: int
    first_column: int
    last_column: int


def body_of(volume: Volume, threshold_hu: int = BODY_THRESHOLD_HU) -> Mask:
    """Return the patient in the CT, filled; empty where nothing in it looks like a body."""
    pixels = _pixels(volume.grid.spacing_zyx_mm[1:])
    dense, thick = (np.empty(volume.array_zyx.shape, np.bool_) for _ in range(2))
    for z, plane_hu in enumerate(volume.hu_zyx):
        dense[z] = _without_small_holes(plane_hu > threshold_hu, pixels)
        thick[z] = _eroded(dense[z], pixels)
    patient = _patient_blocks(thick, pixels)
    body, loose = thick, np.zeros_like(thick)  # `thick` is used up slice by slice
    for z, plane in enumerate(dense):
        core = thick[z] & _spread_out(patient[z], pixels, plane.shape)
        body[z], loose[z] = _with_thin_parts(core, plane, pixels)
    _join_from_neighbours(body, loose)
    _join_from_neighbours(body[::-1], loose[::-1])
    for plane in body:
        window = _window(plane, (0, 0))
        if window is not None:
            plane[window] |= enclosed(plane[window])
    return Mask.from_full(body)


def _pixels(spacing_mm: tuple[float, ...]) -> _Pixels:
    dy, dx = spacing_mm
    half = [max(1, round(OPENING_MM / 2 / s)) for s in (dy, dx)]
    block = [max(1, round(_BLOCK_MM / s)) for s in (dy, dx)]
    return _Pixels(spacing_mm=(dy, dx), half_opening=(half[0], half[1]), block=(block[0], block[1]))


def _without_small_holes(plane: Plane, pixels: _Pixels) -> Plane:
    """Return the plane with its short holes filled: airways and sinuses, whose thin walls alone would not survive."""
    labels, count = ndimage.label(~plane)
    short = np.zeros(count + 1, bool)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        inside = rows.start > 0 and columns.start > 0
        inside = inside and rows.stop < plane.shape[0] and columns.stop < plane.shape[1]
        short[number] = inside and _longer_side_mm(rows, columns, pixels) <= HOLE_MM
    return plane | short[labels]


def _longer_side_mm(rows: slice, columns: slice, pixels: _Pixels) -> float:
    dy, dx = pixels.spacing_mm
    return float(max((rows.stop - rows.start) * dy, (columns.stop - columns.start) * dx))


def _eroded(plane: Plane, pixels: _Pixels) -> Plane:
    """Return pixels whose whole square is set; beyond the image counts as set, so that a cut patient stays whole."""
    result = plane
    for axis, half in enumerate(pixels.half_opening):
        source, result = result, result.copy()
        for step in range(1, half + 1):
            ahead, behind = _shifts(axis, step)
            result[ahead] &= source[behind]
            result[behind] &= source[ahead]
    return result


def _dilated(plane: Plane, pixels: _Pixels) -> Plane:
    """Return pixels that lie in the square of a set one."""
    result = plane
    for axis, half in enumerate(pixels.half_opening):
        source, result = result, result.copy()
        for step in range(1, half + 1):
            ahead, behind = _shifts(axis, step)
            result[ahead] |= source[behind]
            result[behind] |= source[ahead]
    return result


def _shifts(axis: int, step: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    whole = slice(None)
    ahead, behind = slice(step, None), slice(None, -step)
    return ((ahead, whole), (behind, whole)) if axis == 0 else ((whole, ahead), (whole, behind))


def _patient_blocks(thick: Stack, pixels: _Pixels) -> Stack:
    """Return the patient's thick pieces in blocks of pixels: (slices, rows / block, columns / block)."""
    rows, columns = pixels.block
    some = np.logical_or.reduceat(thick, np.arange(0, thick.shape[1], rows), axis=1)
    some = np.logical_or.reduceat(some, np.arange(0, some.shape[2], columns), axis=2)
    labels, count = ndimage.label(some)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        height, width = (
            (part.stop - part.start) * n * mm
            for part, n, mm in zip(place[1:], pixels.block, pixels.spacing_mm, strict=True)
        )
        if width >= BOARD_ASPECT * height:
            sizes[number] = 0
    keep = (sizes > 0) & (sizes >= SHARE * sizes.max())
    return np.asarray(keep[labels], np.bool_)


def _spread_out(blocks: Plane, pixels: _Pixels, shape: tuple[int, ...]) -> Plane:
    rows, columns = pixels.block
    return np.repeat(np.repeat(blocks, rows, axis=0), columns, axis=1)[: shape[0], : shape[1]]


def _with_thin_parts(core: Plane, dense: Plane, pixels: _Pixels) -> tuple[Plane, Plane]:
    """Return the patient of one slice, and the short thin parts not connected to it within this slice."""
    body = _dilated(core, pixels)
    loose = np.zeros_like(body)
    around = (round(_AROUND_MM / pixels.spacing_mm[0]), round(_AROUND_MM / pixels.spacing_mm[1]))
    window = _window(body, around) or (slice(None), slice(None))
    labels, count = ndimage.label(dense[window] & ~body[window], np.ones((3, 3), bool))
    if count == 0:
        return body, loose
    short = np.zeros(count + 1, bool)
    boards = np.zeros(count + 1, bool)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        short[number] = _longer_side_mm(rows, columns, pixels) <= THIN_PART_MM
        boards[number] = (columns.stop - columns.start) * pixels.spacing_mm[1] >= BOARD_MM
    faces = [_face(body[window], labels == number) for number in np.flatnonzero(boards)]
    _end_at_boards(body[window], [face for face in faces if face is not None], pixels)
    touching = np.zeros(count + 1, bool)
    touching[np.unique(labels[_grown_by_one(body[window])])] = True
    body[window] |= (short & touching)[labels]
    loose[window] = (short & ~touching)[labels]
    return body, loose


def _face(body: Plane, board: Plane) -> _Face | None:
    """Return the board's face towards the patient; None where it is not flat, or where there is no patient."""
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(board.any(axis=0))
    if not len(rows):
        return None
    first = board[:, columns].argmax(axis=0)
    last = len(board) - 1 - board[::-1, columns].argmax(axis=0)
    below = bool(np.median(first) > (rows[0] + rows[-1]) / 2)
    level = int(np.bincount(first if below else last).argmax())
    if (np.abs((first if below else last) - level) <= 1).mean() < FLAT_SHARE:
        return None
    return _Face(below=below, row=level, first_column=int(columns[0]), last_column=int(columns[-1]))


def _end_at_boards(body: Plane, faces: list[_Face], pixels: _Pixels) -> None:
    """Remove from the patient, in place, what lies at or beyond the boards: in their columns, and between two of them.

    Never more than `DEEPEST_MM`: what reaches farther lies beside the board, not on it.
    """
    deepest = round(DEEPEST_MM / pixels.spacing_mm[0])
    for one in faces:
        for other in faces:
            if one.below != other.below or abs(one.row - other.row) > 1:
                continue
            beyond = slice(one.row, None) if one.below else slice(None, one.row + 1)
            columns = slice(
                min(one.first_column, other.first_column), max(one.last_column, other.last_column) + 1
            )
            if body[beyond, columns].any(axis=1).sum() <= deepest:
                body[beyond, columns] = False


def _join_from_neighbours(body: Stack, loose: Stack) -> None:
    """Add, in place and in order of the slices, loose parts that touch the patient in the slice before."""
    for z in range(1, len(body)):
        if not loose[z].any():
            continue
        labels, count = ndimage.label(loose[z], np.ones((3, 3), bool))
        joined = np.zeros(count + 1, bool)
        joined[np.unique(labels[body[z - 1]])] = True
        joined[0] = False
        body[z] |= joined[labels]
        loose[z] &= ~joined[labels]


def _grown_by_one(plane: Plane) -> Plane:
    return np.asarray(ndimage.binary_dilation(plane, np.ones((3, 3), bool)), np.bool_)


def _window(plane: Plane, around: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the box round all set pixels, grown by `around` rows and columns; None where no pixel is set."""
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(0, int(rows[0]) - around[0]), int(rows[-1]) + 1 + around[0]),
        slice(max(0, int(columns[0]) - around[1]), int(columns[-1]) + 1 + around[1]),
    )

"""Holes joined to the outline round them by channels of no width, so that one polygon holds both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.int_]
"""Corners (n, 2) of a closed loop as (row, column), from the topmost, leftmost one; the first edge lies along a row."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Entry:
    """Where a channel meets a loop: after which of its corners, how far from there, and the point itself."""

    loop: int
    corner: int
    distance: int
    point: tuple[int, int]


def join_holes(
    outlines: Sequence[Outline], holes: NDArray[np.bool_], beside_yx: NDArray[np.uint8]
) -> list[Outline]:
    """Return the outer outlines of one slice, each with the holes inside it joined by channels.

    `outlines` are in raster order of their first corners. From each hole's first corner a channel runs left along a
    voxel edge to the next outline. That outline begins further up, or equally far up and further left, so no ring of
    channels can close, and a hole is complete before the outline that encloses it. `beside_yx` marks the upright edges
    between a padded row's voxels.
    """
    segments = _Segments.of(outlines)
    guests: list[list[tuple[_Entry, Outline]]] = [[] for _ in outlines]
    joined: list[Outline] = []
    for k in range(len(outlines) - 1, -1, -1):
        if not holes[k]:
            joined.append(
                _with_guests(outlines[k], [(entry, _reversed(guest)) for entry, guest in guests[k]])
            )
            continue
        whole = _with_guests(outlines[k], guests[k])
        row, column = outlines[k][0].tolist()
        wall = np.flatnonzero(beside_yx[row, :column] | beside_yx[row + 1, :column])[-1]
        entry = segments.entry(row, int(wall))
        guests[entry.loop].append((entry, whole))
    return joined[::-1]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Segments:
    """The upright edges of all loops of a slice: loop, first corner, column, first and last row."""

    loop: NDArray[np.int_]
    corner: NDArray[np.int_]
    column: NDArray[np.int_]
    row: NDArray[np.int_]
    end_row: NDArray[np.int_]

    @classmethod
    def of(cls, outlines: Sequence[Outline]) -> "_Segments":
        """Collect every second edge, beginning at each loop's second corner."""
        halves = [len(outline) // 2 for outline in outlines]
        return cls(
            loop=np.repeat(np.arange(len(outlines)), halves),
            corner=np.concatenate([np.arange(1, len(outline), 2) for outline in outlines]),
            column=np.concatenate([outline[1::2, 1] for outline in outlines]),
            row=np.concatenate([outline[1::2, 0] for outline in outlines]),
            end_row=np.concatenate(
                [row for outline in outlines for row in (outline[2::2, 0], outline[:1, 0])]
            ),
        )

    def entry(self, row: int, column: int) -> _Entry:
        """Return the place on the one upright edge that contains this point."""
        low, high = np.minimum(self.row, self.end_row), np.maximum(self.row, self.end_row)
        found = int(np.flatnonzero((self.column == column) & (low <= row) & (row <= high))[0])
        return _Entry(
            loop=int(self.loop[found]),
            corner=int(self.corner[found]),
            distance=abs(row - int(self.row[found])),
            point=(row, column),
        )


def _reversed(outline: Outline) -> Outline:
    """Return the loop in the other direction, from the same corner: holes run opposite to the outline round them."""
    return np.concatenate([outline[:1], outline[:0:-1]])


def _with_guests(outline: Outline, guests: Sequence[tuple[_Entry, Outline]]) -> Outline:
    """Return the loop with a detour to each guest and back: corner, entry, round the guest, entry."""
    if not guests:
        return outline
    parts: list[Outline] = []
    done = 0
    for entry, guest in sorted(guests, key=lambda item: (item[0].corner, item[0].distance)):
        parts.append(outline[done : entry.corner + 1])
        done = entry.corner + 1
        point = np.array([entry.point])
        round_trip = [point, guest, guest[:1], point]
        parts.extend(round_trip[1:] if entry.distance == 0 else round_trip)
    parts.append(outline[done:])
    whole = np.concatenate(parts)
    return whole[
        np.any(whole != np.roll(whole, 1, axis=0), axis=1)
    ]  # an entry at an edge's far corner is that corner

"""Keyholes for polygons with points anywhere; `imaging.contours.keyholes` handles points on the voxels' lattice."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Loop = NDArray[np.float64]
"""Points (n, 2) of a closed loop as (y, x), with the material always on the same side."""
_Guest = tuple[int, float, Loop, Loop]
"""The host's edge that a channel reaches, how far along it, the point there, and the loop at the other end."""


def joined_by_channels(loops: Sequence[Loop], hollow: NDArray[np.bool_]) -> list[Loop]:
    """Return the outer loops of one slice, each with the holes inside it joined by channels of no width.

    A channel leads from each hole's leftmost point to the left, to the next edge of another loop. That loop reaches
    further left, so no ring of channels can close. Loops must not cross or touch, and holes must run opposite to the
    outlines round them.
    """
    edges = _Edges(loops)
    guests: list[list[_Guest]] = [[] for _ in loops]
    whole = list(loops)
    leftmost = [float(loop[:, 1].min()) for loop in loops]
    for k in sorted(range(len(loops)), key=lambda k: -leftmost[k]):
        whole[k] = _with_guests(loops[k], guests[k])
        if hollow[k]:
            first = int(loops[k][:, 1].argmin())
            host, edge, point = edges.left_of(loops[k][first], k)
            along = float(np.linalg.norm(point - loops[host][edge]))
            guests[host].append((edge, along, point, _starting_at(whole[k], loops[k][first])))
    return [loop for loop, is_hole in zip(whole, hollow.tolist(), strict=True) if not is_hole]


class _Edges:
    """All edges of a slice's loops, for intersection with horizontal rays."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        """Lay the loops' edges side by side."""
        self._start = np.concatenate(loops)
        self._end = np.concatenate([np.roll(loop, -1, axis=0) for loop in loops])
        self._loop = np.repeat(np.arange(len(loops)), [len(loop) for loop in loops])
        self._number = np.concatenate([np.arange(len(loop)) for loop in loops])

    def left_of(self, point: Loop, own: int) -> tuple[int, int, Loop]:
        """Return the first edge of another loop that a ray to the left meets: its loop, its number, and the point."""
        y, x = point
        (y0, x0), (y1, x1) = self._start.T, self._end.T
        met = np.flatnonzero((np.minimum(y0, y1) <= y) & (y <= np.maximum(y0, y1)) & (self._loop != own))
        rise = y1[met] - y0[met]
        share = np.where(rise != 0, (y - y0[met]) / np.where(rise != 0, rise, 1), (x0[met] < x1[met]) * 1.0)
        at = x0[met] + np.clip(share, 0, 1) * (x1[met] - x0[met])
        at[at >= x] = -np.inf
        nearest = int(at.argmax())
        found = int(met[nearest])
        return int(self._loop[found]), int(self._number[found]), np.array([y, at[nearest]])


def _starting_at(loop: Loop, point: Loop) -> Loop:
    first = int(np.flatnonzero((loop == point).all(axis=1))[0])
    return np.roll(loop, -first, axis=0)


def _with_guests(loop: Loop, guests: Sequence[_Guest]) -> Loop:
    """Return the loop with a detour to each guest and back, without points that repeat their neighbour."""
    if not guests:
        return loop
    parts: list[Loop] = []
    done = 0
    for edge, _, point, guest in sorted(guests, key=lambda guest: guest[:2]):
        parts += [loop[done : edge + 1], point[None], guest, guest[:1], point[None]]
        done = edge + 1
    whole = np.concatenate([*parts, loop[done:]])
    return whole[np.any(whole != np.roll(whole, 1, axis=0), axis=1)]

"""Whether polygons of one plane touch or cross themselves or each other."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLOCK = 512


def in_contact(polygons: Sequence[NDArray[np.float64]], checked: NDArray[np.bool_]) -> bool:
    """Whether an edge of a checked polygon touches any edge but the two beside it, of its own polygon or another.

    Points (n, 2) of closed polygons, the first not repeated.
    """
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    counts = np.array([len(polygon) for polygon in polygons])
    following = np.arange(1, len(start) + 1)
    ends = np.cumsum(counts)
    following[ends - 1] = ends - counts
    rows = np.flatnonzero(np.repeat(checked, counts))
    low, high = np.minimum(start, end), np.maximum(start, end)
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK]
        near = np.all(low[block, None] <= high[None], axis=2) & np.all(low[None] <= high[block, None], axis=2)
        near[np.arange(len(block)), block] = False
        near &= following[block][:, None] != np.arange(len(start))[None]
        near &= following[None] != block[:, None]
        a, b = np.nonzero(near)
        if len(a) and bool(_meet(start[block[a]], end[block[a]], start[b], end[b]).any()):
            return True
    return False


def _meet(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether edges ab and cd, whose boxes overlap, share a point."""
    apart = _turn(a, b, c) * _turn(a, b, d) > 0
    apart |= _turn(c, d, a) * _turn(c, d, b) > 0
    return np.asarray(~apart, np.bool_)


def _turn(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> NDArray[np.float64]:
    crossed = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.asarray(np.sign(np.where(np.abs(crossed) < 1e-9, 0, crossed)), np.float64)

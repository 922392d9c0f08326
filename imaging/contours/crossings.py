"""Whether polygons of one plane touch or cross themselves or each other."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_PAIRS = 1_000_000


def in_contact(polygons: Sequence[NDArray[np.float64]], checked: NDArray[np.bool_]) -> bool:
    """Tell whether an edge of a checked polygon touches any edge but the two beside it, of its own polygon or another.

    Points (n, 2) of closed polygons, the first not repeated.
    """
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    counts = np.array([len(polygon) for polygon in polygons])
    following = np.arange(1, len(start) + 1)
    ends = np.cumsum(counts)
    following[ends - 1] = ends - counts
    chosen = np.repeat(checked, counts)
    for a, b in _near(np.minimum(start, end), np.maximum(start, end)):
        relevant = (chosen[a] | chosen[b]) & (following[a] != b) & (following[b] != a)
        a, b = a[relevant], b[relevant]
        if len(a) and bool(_meet(start[a], end[a], start[b], end[b]).any()):
            return True
    return False


def crosses_itself(points: NDArray[np.float64]) -> bool:
    """Tell whether two edges of a closed polygon (n, 2) cross inside both; touching or coinciding does not count."""
    end = np.roll(points, -1, axis=0)
    for a, b in _near(np.minimum(points, end), np.maximum(points, end)):
        one = _turn(points[a], end[a], points[b]) * _turn(points[a], end[a], end[b]) < 0
        other = _turn(points[b], end[b], points[a]) * _turn(points[b], end[b], end[a]) < 0
        if (one & other).any():
            return True
    return False


def _near(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    """Yield every pair of overlapping boxes (n, 2), in blocks: once sorted by one side, partners follow closely."""
    order = np.argsort(low[:, 0], kind="stable")
    low, high = low[order], high[order]
    reach = np.searchsorted(low[:, 0], high[:, 0], side="right") - np.arange(1, len(low) + 1)
    blocks = np.searchsorted(np.cumsum(reach), np.arange(0, reach.sum(), _PAIRS), side="left")
    for first, last in itertools.pairwise([*np.unique(blocks).tolist(), len(low)]):
        count = reach[first:last]
        one = np.repeat(np.arange(first, last), count)
        other = one + 1 + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        met = (low[one, 1] <= high[other, 1]) & (low[other, 1] <= high[one, 1])
        yield order[one[met]], order[other[met]]


def _meet(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell whether edges ab and cd, whose boxes overlap, share a point."""
    apart = _turn(a, b, c) * _turn(a, b, d) > 0
    apart |= _turn(c, d, a) * _turn(c, d, b) > 0
    return np.asarray(~apart, np.bool_)


def _turn(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> NDArray[np.float64]:
    crossed = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    return np.asarray(np.sign(np.where(np.abs(crossed) < 1e-9, 0, crossed)), np.float64)

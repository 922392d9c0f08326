"""Fewer points for closed chains: the Douglas-Peucker algorithm, applied to all chains of a structure at once."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Chains:
    """Closed chains, concatenated: points (n, 2), which of them may be kept, and how many points each chain has."""

    points: NDArray[np.float64]
    candidates: NDArray[np.bool_]
    counts: NDArray[np.int_]

    def __post_init__(self) -> None:
        """Refuse counts that do not add up to the number of points."""
        if len(self.points) != len(self.candidates) or len(self.points) != self.counts.sum():
            raise ValueError(f"{len(self.points)} points in chains of {self.counts.sum()}")

    def only(self, chosen: NDArray[np.bool_]) -> Self:
        """Return only the chosen chains."""
        points = np.repeat(chosen, self.counts)
        return type(self)(
            points=self.points[points], candidates=self.candidates[points], counts=self.counts[chosen]
        )

    def split(self) -> list[NDArray[np.float64]]:
        """Return the points of each chain."""
        return np.split(self.points, np.cumsum(self.counts)[:-1]) if len(self.counts) else []


def decimated(chains: Chains, tolerance: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return, for each chain, a closed polygon of some of its candidates, no point farther from it than `tolerance`.

    The distance is to the edge that replaces the point's stretch of the chain, end points included (Douglas and Peucker
    1973), so that chain and polygon lie within `tolerance` of each other, both ways. There is one tolerance per chain.
    Where a point may not be kept, its neighbours must be candidates and lie within the tolerance of each other's chord.
    """
    if not len(chains.counts):
        return []
    closed = _closed(chains)
    keep = _first_anchors(closed)
    limit = np.repeat(tolerance, closed.counts)
    open_points = np.flatnonzero(~keep)
    while len(open_points):
        anchors = np.flatnonzero(keep)
        behind = np.searchsorted(anchors, open_points) - 1
        first, last = anchors[behind], anchors[behind + 1]
        distance = _to_segment(closed.points[open_points], closed.points[first], closed.points[last])
        starts = np.flatnonzero(np.diff(behind, prepend=-1))
        furthest = np.maximum.reduceat(distance, starts)
        widths = np.diff(starts, append=len(behind))
        split = furthest > limit[first[starts]]
        worst = np.flatnonzero(distance == np.repeat(furthest, widths))
        worst = worst[np.unique(behind[worst], return_index=True)[1]][split]
        new = _candidate(closed, open_points[worst], first[worst])
        keep[new] = True
        open_points = open_points[np.repeat(split, widths)]
        open_points = open_points[~keep[open_points]]
    keep[np.cumsum(closed.counts) - 1] = False  # the first point once more
    kept = np.add.reduceat(keep, np.cumsum(closed.counts) - closed.counts)
    return np.split(closed.points[keep], np.cumsum(kept)[:-1])


def _closed(chains: Chains) -> Chains:
    """Return each chain with its first point repeated at its end."""
    ends = np.cumsum(chains.counts)
    order = np.insert(np.arange(len(chains.points)), ends, ends - chains.counts)
    return Chains(points=chains.points[order], candidates=chains.candidates[order], counts=chains.counts + 1)


def _first_anchors(closed: Chains) -> NDArray[np.bool_]:
    """Mark, in each chain, the first point, its repetition at the end, and the candidate farthest from them."""
    ends = np.cumsum(closed.counts)
    starts = ends - closed.counts
    away = np.linalg.norm(closed.points - np.repeat(closed.points[starts], closed.counts, axis=0), axis=1)
    away[~closed.candidates] = -1
    furthest = np.repeat(np.maximum.reduceat(away, starts), closed.counts)
    chain = np.repeat(np.arange(len(ends)), closed.counts)
    found = np.flatnonzero(away == furthest)
    keep = np.zeros(len(closed.points), np.bool_)
    keep[found[np.unique(chain[found], return_index=True)[1]]] = True
    keep[starts] = keep[ends - 1] = True
    return keep


def _candidate(closed: Chains, points: NDArray[np.int_], first: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return each point that may be kept; for the others the one before, or the one after where that is the anchor."""
    before = np.where(points - 1 > first, points - 1, points + 1)
    return np.asarray(np.where(closed.candidates[points], points, before), np.int_)


def _to_segment(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    along = end - start
    length = np.einsum("ij,ij->i", along, along)
    share = np.einsum("ij,ij->i", points - start, along) / np.where(length > 0, length, 1)
    nearest = start + np.clip(share, 0, 1)[:, None] * along
    return np.asarray(np.linalg.norm(points - nearest, axis=1), np.float64)

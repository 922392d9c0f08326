"""Carries out a derivation: applies one structure's steps to masks, with notes on what a reader should know."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imaging.masks.margins import Margin, contract, expand, is_cut, keep_away, keep_inside, ring
from imaging.masks.morphology import (
    intersection,
    largest_pieces,
    smoothed,
    subtraction,
    union,
    without_holes_in_slices,
    without_holes_in_volume,
    without_pieces_below,
)
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask
from service.template.model import Entry
from service.template.steps import Directions, Step

Look = Callable[[str], Mask]


class SourceEmpty(Exception):
    """A structure that the derivation needs has no voxels; the message is its name."""


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """One structure's mask, and notes on how it was made."""

    mask: Mask
    notes: tuple[str, ...]


def derive(entry: Entry, start: Mask, look: Look, grid: Grid) -> Derivation:
    """Return the result of the steps of `entry` on `start`; `look` returns the masks that the steps name.

    Raises:
        SourceEmpty: `start`, or a mask that a step needs and does not call optional, is empty.
    """
    if entry.steps and not start.crop_zyx.any():
        raise SourceEmpty(entry.source or entry.name)
    notes: list[str] = []
    mask = start
    for step in entry.steps:
        others = _others(step, look, notes)
        if step.margin_mm is not None and is_cut(mask, grid, _margin(step.margin_mm)):
            notes.append(f"{entry.name}: the margin ends at the edge of the scan")
        mask = (
            _SHAPED[step.verb](mask, step, grid) if not step.others() else _combined(mask, step, others, grid)
        )
    return Derivation(mask=mask, notes=tuple(notes))


def _others(step: Step, look: Look, notes: list[str]) -> list[Mask]:
    found = []
    for name in step.others():
        mask = look(name)
        if mask.crop_zyx.any():
            found.append(mask)
        elif step.optional:
            notes.append(f"{name} is empty: '{step.words()}' was carried out without it")
        else:
            raise SourceEmpty(name)
    return found


def _combined(mask: Mask, step: Step, others: list[Mask], grid: Grid) -> Mask:
    if step.add is not None:
        return union(mask, *others)
    if step.intersect is not None:
        return intersection(mask, *others)
    if step.inside is not None:
        return keep_inside(mask, others[0], grid, step.distance_mm)
    if not step.distance_mm:
        return subtraction(mask, *others)
    for other in others:
        mask = keep_away(mask, other, grid, step.distance_mm)
    return mask


def _margin(value: float | Directions) -> Margin:
    return value.margin() if isinstance(value, Directions) else Margin.uniform(value)


def _expanded(mask: Mask, step: Step, grid: Grid) -> Mask:
    return expand(mask, grid, _margin(step.margin_mm or 0.0))


def _contracted(mask: Mask, step: Step, grid: Grid) -> Mask:
    return contract(mask, grid, _margin(step.shrink_mm or 0.0))


def _ring(mask: Mask, step: Step, grid: Grid) -> Mask:
    if step.ring_mm is None:
        raise TypeError("a ring step has its distances")
    return ring(mask, grid, step.ring_mm.inner, step.ring_mm.outer)


def _smoothed(mask: Mask, step: Step, grid: Grid) -> Mask:
    return smoothed(mask, grid, step.smooth_mm or 0.0)


def _filled(mask: Mask, step: Step, grid: Grid) -> Mask:  # noqa: ARG001 - holes have no size in mm
    return without_holes_in_volume(mask) if step.fill_holes == "volume" else without_holes_in_slices(mask)


def _largest(mask: Mask, step: Step, grid: Grid) -> Mask:  # noqa: ARG001 - pieces are counted
    return largest_pieces(mask, step.keep_largest or 1)


def _without_small(mask: Mask, step: Step, grid: Grid) -> Mask:
    return without_pieces_below(mask, grid, step.remove_below_cc or 0.0)


_SHAPED: Mapping[str, Callable[[Mask, Step, Grid], Mask]] = {
    "margin_mm": _expanded,
    "shrink_mm": _contracted,
    "ring_mm": _ring,
    "smooth_mm": _smoothed,
    "fill_holes": _filled,
    "keep_largest": _largest,
    "remove_below_cc": _without_small,
}

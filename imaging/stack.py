"""Whether slices make one regular, straight, axial stack, from their headers alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from imaging.grid import Grid
from imaging.headers import SliceHeader


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A checked stack: the grid of its volume, and which header stands at each slice index."""

    grid: Grid
    order: tuple[int, ...]


def check_stack(headers: Sequence[SliceHeader]) -> Stack:
    """The grid of the stack these slices make, or ImageRefused that says what is missing or contradictory."""
    raise NotImplementedError

"""ROI Numbers (3006,0022) where not every ROI has one of its own."""

import itertools
from collections.abc import Sequence


def roi_numbers(wished: Sequence[int | None]) -> list[int]:
    """For each ROI its number: the wished one, or else the lowest from 1 that nobody wishes, in order."""
    taken = set(wished)
    free = (number for number in itertools.count(1) if number not in taken)
    return [next(free) if number is None else number for number in wished]

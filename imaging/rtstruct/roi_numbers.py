"""ROI Numbers (3006,0022) where not every ROI asks for one."""

import itertools
import re
from collections.abc import Sequence

_WHOLE = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)


def roi_numbers(wished: Sequence[int | None]) -> list[int]:
    """Return each ROI's number: the wished one, or else, in order, the lowest from 1 that no ROI wishes."""
    taken = set(wished)
    free = (number for number in itertools.count(1) if number not in taken)
    return [next(free) if number is None else number for number in wished]


def whole_number(text: str) -> int | None:
    """Return the number in a text of VR IS, however written (02, +2, 2.0); None where it is not a whole number."""
    bare = text.strip(" \0")
    return int(bare.partition(".")[0]) if len(bare) <= 16 and _WHOLE.fullmatch(bare) else None

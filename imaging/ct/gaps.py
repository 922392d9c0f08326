"""Which slices a stack lacks, in words for the clinic.

Gaps are given in mm and, where the numbering allows, by Instance Number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.ct.headers import AXIS_LETTERS, SliceHeader
from imaging.ct.raw_slice import named

MOST_NAMED = 3
_NUMBER = "Instance Number"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Adjacent slices that are missing: how many, the positions of the lowest and highest, and their numbers.

    Positions are along the patient axis that the stack runs along: `axis` is x, y or z.
    """

    count: int
    axis: str
    places_mm: tuple[float, float]
    numbers: tuple[int, int] | None

    def words(self, *, counted: bool) -> str:
        """Return the gap as part of a sentence, with the count if `counted` and more than one slice is missing."""
        low, high = (f"{round(mm, 2) + 0.0:g}" for mm in self.places_mm)
        details = [f"{self.count} slices"] if counted and self.count > 1 else []
        if self.numbers is not None:
            first, last = self.numbers
            details.append(f"{_NUMBER} {first}" if first == last else f"{_NUMBER} {first} to {last}")
        place = f"{self.axis}={low} mm" if self.count == 1 else f"{self.axis}={low} to {high} mm"
        return f"{place} ({', '.join(details)})" if details else place


def gaps_in(ordered: Sequence[SliceHeader], steps: NDArray[np.int_]) -> list[Gap]:
    """Return the gaps of slices in order along the stack; from k to k + 1 there are ``steps[k]`` slice distances."""
    return [_gap(ordered[k], ordered[k + 1], int(steps[k])) for k in np.flatnonzero(steps > 1).tolist()]


def missing(gaps: Sequence[Gap]) -> str:
    """Describe the missing slices with the first three gaps: "3 slices missing in 2 gaps: z=6 mm, z=15 to 18 mm"."""
    total = sum(gap.count for gap in gaps)
    what = f"{total} slice{'s' if total > 1 else ''} missing"
    if len(gaps) == 1:
        return f"{what}: {gaps[0].words(counted=False)}"
    places = ", ".join(gap.words(counted=True) for gap in gaps[:MOST_NAMED])
    more = f", and {len(gaps) - MOST_NAMED} more" if len(gaps) > MOST_NAMED else ""
    return f"{what} in {len(gaps)} gaps: {places}{more}"


def numbering_doubt(headers: Sequence[SliceHeader]) -> str:
    """Say why the numbering suggests that slices of this regular stack may be missing; "" where it does not.

    A hint, never a reason to refuse: some scanners number a series from any number and in any step.
    """
    numbers = {header.instance_number for header in headers}
    known = [number for number in numbers if number is not None]
    if None in numbers or len(known) != len(headers):
        return ""
    if min(known) in (0, 1) and max(known) - min(known) + 1 == len(known):
        return ""
    return f"{named('InstanceNumber')} runs from {min(known)} to {max(known)} over {len(known)} slices"


def _gap(before: SliceHeader, after: SliceHeader, step: int) -> Gap:
    a, b = before.place_mm, after.place_mm
    ends = sorted((a + (b - a) / step, b - (b - a) / step))
    return Gap(
        count=step - 1,
        axis=AXIS_LETTERS[before.along],
        places_mm=(ends[0], ends[1]),
        numbers=_numbers(before, after, step),
    )


def _numbers(before: SliceHeader, after: SliceHeader, step: int) -> tuple[int, int] | None:
    """Return the first and last number between two neighbours', where exactly as many numbers as slices are missing."""
    if before.instance_number is None or after.instance_number is None:
        return None
    low, high = sorted((before.instance_number, after.instance_number))
    return (low + 1, high - 1) if high - low == step else None

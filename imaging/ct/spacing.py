"""The distance between a stack's slices; or what is wrong with it: missing slices, or distances that vary.

A slice may lie 0.1 mm from its place. Positions are decimal strings, and some systems write one decimal: such a slice
is up to 0.05 mm off, and so are the first and last slices, which define the stack. The tolerance is a tenth of the
finest pixel used in planning.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from imaging.ct.acquisitions import differences
from imaging.ct.gaps import gaps_in, missing
from imaging.ct.headers import SliceHeader
from imaging.ct.raw_slice import named
from imaging.errors import ImageRefused, RefusalCode

POSITION_TOLERANCE_MM = 0.1
_FEWEST_OF_TWO = 5
_LONG_RUN = 3
_LONG_RUN_INSIDE = 5
_POSITION = named("ImagePositionPatient")

Gaps = NDArray[np.float64]
Steps = NDArray[np.int_]


def even_spacing(ordered: Sequence[SliceHeader], along: NDArray[np.float64]) -> float:
    """Return the spacing in mm of slices that are evenly spaced; ImageRefused where some are missing or misplaced.

    `along` are the positions (n,) in mm along the stack, ascending. Where Instance Numbers skip as the positions do,
    slices are missing; where whole blocks have a spacing of their own and nothing suggests lost slices, the series has
    two spacings, and no missing slice would make it even.
    """
    gaps = np.diff(along)
    spacing = float(along[-1] - along[0]) / len(gaps)
    off = np.abs(along - along[0] - spacing * np.arange(len(along)))
    if off.max() <= POSITION_TOLERANCE_MM:
        return round(spacing, 9)
    twins = _interleaved(ordered, gaps)
    if twins is not None:
        raise twins
    numbered = _numbered(ordered)
    for steps in (_by_numbers(gaps, numbered), _by_distance(gaps, numbered)):
        if steps is not None:
            raise _missing(ordered, gaps, steps)
    raise _blocks(ordered, gaps) or _irregular(ordered, gaps, off, numbered)


def _numbered(ordered: Sequence[SliceHeader]) -> Steps | None:
    """Return the change of Instance Number from slice to slice, where all slices have one; else None."""
    numbers = [header.instance_number for header in ordered]
    known = [number for number in numbers if number is not None]
    return np.abs(np.diff(known)) if len(known) == len(numbers) else None


def _by_numbers(gaps: Gaps, numbered: Steps | None) -> Steps | None:
    """Return the steps that Instance Numbers state, where they skip and the positions agree with every one of them."""
    if numbered is None or numbered.min() < 1 or numbered.max() == 1:
        return None
    unit = float(np.median(gaps / numbered))
    agrees = np.abs(gaps - numbered * unit) <= _tolerance(numbered, unit)
    return numbered if agrees.all() else None


def _by_distance(gaps: Gaps, numbered: Steps | None) -> Steps | None:
    """Return the gaps that are whole multiples of the usual step, unless they are blocks of another distance."""
    usual = _usual(gaps)
    steps = np.maximum(np.rint(gaps / usual), 1).astype(int)
    if steps.max() == 1 or not np.all(np.abs(gaps - steps * usual) <= _tolerance(steps, usual)):
        return None
    runs_on = numbered is not None and numbered.max() == 1
    start, own = 0, True
    for step, group in groupby(steps.tolist()):
        length = len(list(group))
        inside = start > 0 and start + length < len(steps)
        if step > 1:
            own = own and length >= (_LONG_RUN if runs_on or not inside else _LONG_RUN_INSIDE)
        start += length
    return None if own else steps


def _tolerance(steps: Steps, unit: float) -> Gaps:
    return np.asarray(POSITION_TOLERANCE_MM + 0.01 * steps * unit, np.float64)


def _usual(gaps: Gaps) -> float:
    """Return the most frequent distance between neighbours; of several, the smallest."""
    ascending = np.sort(gaps)
    alike = np.abs(ascending[:, None] - ascending) <= POSITION_TOLERANCE_MM + 1e-6
    return float(ascending[alike[alike.sum(axis=1).argmax()]].mean())


def _interleaved(ordered: Sequence[SliceHeader], gaps: Gaps) -> ImageRefused | None:
    """Return the refusal of two interleaved, evenly spaced stacks; None where it is something else.

    Where one distance is twice or three times the other, missing slices are as likely an explanation.
    """
    if len(gaps) < _FEWEST_OF_TWO:
        return None
    own = [gaps[::2], gaps[1::2]]
    low, high = sorted(float(part.mean()) for part in own)
    uneven = any(float(np.ptp(part)) > POSITION_TOLERANCE_MM for part in own)
    ratio = high / max(low, 1e-9)
    if uneven or high - low <= POSITION_TOLERANCE_MM or any(abs(ratio - whole) < 0.1 for whole in (2, 3)):
        return None
    found = f"slices are {low:.3g} and {high:.3g} mm apart in turn ({_POSITION}): two series of {low + high:.3g} mm lie in one"
    pair = f"as images {ordered[0].sop_instance_uid} and {ordered[1].sop_instance_uid}"
    unlike = differences(ordered)
    differ = f"; the images differ in {unlike}" if unlike else ""
    return ImageRefused(
        RefusalCode.MIXED_ACQUISITIONS, f"{found}, {pair}{differ}. Send one phase or reconstruction."
    )


def _missing(ordered: Sequence[SliceHeader], gaps: Gaps, steps: Steps) -> ImageRefused:
    apart = f"slices are {float(np.median(gaps / steps)):g} mm apart by {_POSITION}"
    message = f"{missing(gaps_in(ordered, steps))}; {apart}. Send the missing images."
    return ImageRefused(RefusalCode.MISSING_SLICES, message)


def _blocks(ordered: Sequence[SliceHeader], gaps: Gaps) -> ImageRefused | None:
    """Return the refusal of a stack in blocks, each with its own spacing; None where it is something else."""
    blocks: list[tuple[int, int]] = []  # first and last slice
    for index, gap in enumerate(gaps.tolist()):
        if blocks and abs(gap - float(gaps[blocks[-1][0] : blocks[-1][1]].mean())) <= POSITION_TOLERANCE_MM:
            blocks[-1] = (blocks[-1][0], index + 1)
        else:
            blocks.append((index, index + 1))
    if len(blocks) < 2 or any(last - first < _LONG_RUN for first, last in blocks):
        return None
    words = [
        f"{float(gaps[first:last].mean()):.4g} mm apart from {ordered[first].place} to {ordered[last].place_mm:g} mm"
        for first, last in blocks[:4]
    ]
    found = f"the series has {len(blocks)} blocks of slices with other distances: {', '.join(words)} ({_POSITION})"
    return ImageRefused(
        RefusalCode.VARIABLE_SPACING, f"{found}. Reconstruct or resample it with one slice distance."
    )


def _irregular(
    ordered: Sequence[SliceHeader], gaps: Gaps, off: NDArray[np.float64], numbered: Steps | None
) -> ImageRefused:
    usual = _usual(gaps)
    odd = int(np.abs(gaps - usual).argmax())
    found = (
        f"slices are {gaps.min():.3f} to {gaps.max():.3f} mm apart ({_POSITION}), most of them {usual:g} mm"
    )
    place = f"not so between {ordered[odd].place} and {ordered[odd + 1].place} mm"
    worst = ordered[int(off.argmax())]
    slip = f"image {worst.sop_instance_uid} lies {off.max():.2f} mm from its place at even spacing"
    runs_on = numbered is not None and numbered.max() == 1
    code = RefusalCode.VARIABLE_SPACING if runs_on else RefusalCode.IRREGULAR_SPACING
    why = f"; {named('InstanceNumber')} runs on, so that no slice is missing" if runs_on else ""
    return ImageRefused(code, f"{found}, {place}; {slip}{why}. Send a series of one slice spacing.")

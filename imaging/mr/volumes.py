"""Whether the images of an MR series are one volume: MR stores echoes, b-values, phases and time points in one series.

A series is one volume or it is refused, with what tells its volumes apart: which of them a model needs, only the
clinic can say. Slices of one MR volume are acquired in any order and in several passes, so acquisition numbers and
times, which separate CT acquisitions, are ignored here.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from imaging.ct.acquisitions import ACQUISITIONS, OF_MR, PHASES, differences, refuse_turns
from imaging.ct.headers import AXIS_LETTERS, SliceHeader
from imaging.ct.raw_slice import named
from imaging.ct.stack import (
    COSINE_TOLERANCE,
    NEAR_MM,
    OBLIQUE_LIMIT_DEG,
    Axes,
    StackRules,
    image_axes,
    off_axial_deg,
    off_patient_axes_deg,
)
from imaging.errors import ImageRefused, RefusalCode

_KIND = "ImageType"
_NO_NEAREST_DEG = 44.5
"""An axis turned by this much is equally near to two axes of the patient."""
_TIMES = ("TriggerTime", "AcquisitionTime", "AcquisitionDateTime", *ACQUISITIONS)
_MOST_NAMED = 4
_WORDS: Mapping[str, str] = {
    "EchoTime": "echoes",
    "EchoNumbers": "echoes",
    "InversionTime": "inversion times",
    "DiffusionBValue": "b-values",
    "FlipAngle": "flip angles",
    "RepetitionTime": "repetition times",
    "SequenceName": "sequences or b-values",
    _KIND: "kinds of image, such as magnitude and phase or water and fat",
    **dict.fromkeys(PHASES, "phases or time points"),
    **dict.fromkeys(_TIMES, "time points of a dynamic series"),
}
"""What the volumes are that an attribute tells apart, in the order in which attributes are examined."""


class _Stack(NamedTuple):
    """The images of one orientation."""

    direction: str
    images: int


def check_one_volume(headers: Sequence[SliceHeader]) -> None:
    """Accept a series with one image per position; otherwise ImageRefused says which volumes it contains."""
    stacks = _stacks(headers)
    if len(stacks) > 1:
        found = ", ".join(f"{stack.images} {stack.direction}" for stack in stacks[:_MOST_NAMED])
        raise ImageRefused(
            RefusalCode.MIXED_ORIENTATION,
            f"{len(stacks)} stacks of images in different directions lie in one series ({found}; "
            f"{named('ImageOrientationPatient')}). Send one stack as a series of its own.",
        )
    if len({header.sop_instance_uid for header in headers}) < len(headers):
        return  # one image sent twice: the stack's own check names it
    places = _places(headers)
    counts = Counter(places)
    if 2 * sum(count > 1 for count in counts.values()) <= len(counts):
        return  # one image too many here and there is no second volume: the stack's own check names it
    by_place: dict[int, list[SliceHeader]] = {}
    for place, header in zip(places, headers, strict=True):
        by_place.setdefault(place, []).append(header)
    keyword = next((word for word in _WORDS if _parts(word, by_place.values())), "")
    found = f"{max(counts.values())} volumes lie in one series of {len(headers)} images at {len(counts)} positions"
    raise ImageRefused(
        RefusalCode.MIXED_ACQUISITIONS,
        f"{found}: {_difference(keyword, headers)}. Send one volume as a series of its own.",
    )


def check_one_acquisition(ordered: Sequence[SliceHeader]) -> None:
    """Refuse (ImageRefused) a stack along which an echo, b-value, phase or kind of image alternates."""
    refuse_turns(
        ordered,
        {keyword: [h.text(keyword) for h in ordered] for keyword in (*PHASES, *OF_MR, _KIND)},
    )


def check_planes(header: SliceHeader, axes: Axes) -> str:
    """Return a note for planes that are not axial, else ""; refuse an axis without a nearest axis of the patient."""
    nearest = np.abs(axes).argmax(axis=1)
    if len(set(nearest.tolist())) < 3 or off_patient_axes_deg(axes) >= _NO_NEAREST_DEG:
        found = f"series {header.series_uid}: {named('ImageOrientationPatient')} {header.orientation}"
        raise ImageRefused(
            RefusalCode.NOT_AXIAL,
            f"{found} lies halfway between two directions of the patient. Send axial, sagittal or coronal images.",
        )
    if off_axial_deg(axes) <= OBLIQUE_LIMIT_DEG:
        return ""
    direction = _direction(axes)
    return f"the images are {direction}: contours lie in their planes, which not every planning system takes"


MR_STACK = StackRules(one_volume=check_one_volume, one_acquisition=check_one_acquisition, planes=check_planes)


def _stacks(headers: Sequence[SliceHeader]) -> list[_Stack]:
    """Return the stacks of images by orientation, in the order seen."""
    seen: list[tuple[SliceHeader, int]] = []
    for header in headers:
        for index, (first, count) in enumerate(seen):
            if np.abs(np.subtract(header.orientation, first.orientation)).max() <= COSINE_TOLERANCE:
                seen[index] = (first, count + 1)
                break
        else:
            seen.append((header, 1))
    return [_Stack(_direction(image_axes(first)), count) for first, count in seen]


def _direction(axes: Axes) -> str:
    """Name the plane of the images: axial, coronal or sagittal, preceded by "oblique" where it is far from that."""
    plane = {"x": "sagittal", "y": "coronal", "z": "axial"}[AXIS_LETTERS[int(np.abs(axes[0]).argmax())]]
    return plane if off_patient_axes_deg(axes) <= OBLIQUE_LIMIT_DEG else f"oblique {plane}"


def _places(headers: Sequence[SliceHeader]) -> list[int]:
    """Return, for each image, the number of its position along the stack.

    Images nearer to each other than the stack's tolerance share a number.
    """
    along = np.array([h.position_lps for h in headers]) @ image_axes(headers[0])[0]
    order = np.argsort(along, kind="stable")
    steps = np.concatenate([[0], np.cumsum(np.diff(along[order]) > NEAR_MM)])
    numbers = np.empty(len(headers), int)
    numbers[order] = steps
    return [int(number) for number in numbers]


def _parts(keyword: str, places: Iterable[Sequence[SliceHeader]]) -> bool:
    """Tell whether, at every position, an attribute differs between all images."""
    values = [[header.text(keyword) for header in images] for images in places]
    return all(len(set(found)) == len(found) and "" not in found for found in values)


def _in_order(text: str) -> tuple[float, str]:
    """Return a sort key: numbers as numbers, other texts after them."""
    try:
        return float(text), text
    except ValueError:
        return math.inf, text


def _difference(keyword: str, headers: Sequence[SliceHeader]) -> str:
    if not keyword:
        unlike = differences(headers)
        return (
            f"together {unlike} tell them apart" if unlike else "nothing that the images say tells them apart"
        )
    values = sorted({header.text(keyword) for header in headers}, key=_in_order)
    if keyword == _KIND or keyword in _TIMES:
        return f"{_WORDS[keyword]} ({named(keyword)})"
    shown = ", ".join(values[:_MOST_NAMED]) + (", ..." if len(values) > _MOST_NAMED else "")
    return f"{_WORDS[keyword]} ({named(keyword)} {shown})"

"""The slices of a series along its axis, with the places where slices are missing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imaging.ct.headers import SliceHeader, header_of
from imaging.ct.raw_slice import read_raw
from imaging.errors import ImageRefused

MOST_PLACES = 2000
HOLE = 1.5
"""A gap of more than this many times the usual distance is a hole."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A position along the series; a hole has no image."""

    position_mm: float
    image_uid: str  # empty: a slice is missing here


@dataclass(frozen=True, kw_only=True)
class SliceStrip:
    """The places of a series from its first slice to its last, in order."""

    places: tuple[Place, ...]
    spacing_mm: float

    @property
    def missing(self) -> int:
        """The number of holes."""
        return sum(not place.image_uid for place in self.places)


def strip_of(images: Sequence[bytes]) -> SliceStrip | None:
    """Return the places of a series' slices along their common normal; None for fewer than two places.

    Files that cannot be read, or that have no position, are left out.
    """
    headers = [header for data in images if (header := _header(data)) is not None]
    if len(headers) < 2:
        return None
    first = headers[0]
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    along = np.array([float(np.dot(normal, header.position_lps)) for header in headers])
    order = [int(index) for index in np.argsort(along, kind="stable")]
    steps = np.diff(along[order])
    steps_mm = steps[steps > 1e-3]
    if not steps_mm.size:
        return None
    spacing = float(np.median(steps_mm))
    places: list[Place] = []
    for step, source in zip([0.0, *steps.tolist()], order, strict=True):
        holes = round(step / spacing) - 1 if step > HOLE * spacing else 0
        for number in range(min(holes, MOST_PLACES)):
            at = along[source] - step + (number + 1) * step / (holes + 1)
            places.append(Place(position_mm=float(at), image_uid=""))
        places.append(Place(position_mm=float(along[source]), image_uid=headers[source].sop_instance_uid))
    return SliceStrip(places=tuple(places[:MOST_PLACES]), spacing_mm=spacing)


def _header(data: bytes) -> SliceHeader | None:
    try:
        return header_of(read_raw(data, ""))
    except ImageRefused:
        return None

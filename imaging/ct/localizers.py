"""Scout images inside a series: set aside where they cross the slices, never where they could be one of them."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage

from imaging.ct.headers import SliceHeader, check_kind
from imaging.ct.raw_slice import RawSlice
from imaging.errors import ImageRefused

CROSSING_DEG = 20.0
"""Scouts lie at 90 degrees to the slices; between slices of one series there are no such angles."""


def is_localizer(raw: RawSlice) -> bool:
    """Whether a CT image says of itself, in Image Type (0008,0008), that it is a localizer."""
    kinds = (value.strip() for value in raw.text("ImageType").split("\\"))
    return raw.text("SOPClassUID") == CTImageStorage and "LOCALIZER" in kinds


def check_localizer(localizer: RawSlice, slices: Sequence[SliceHeader]) -> None:
    """Return for a localizer that can be left out of a series that has these slices.

    ImageRefused for one that lies in the plane of the slices, or does not say how it lies, and where there are no
    slices at all.
    """
    if not slices or not _crosses(localizer, slices[0]):
        check_kind(localizer)


def _crosses(localizer: RawSlice, of_series: SliceHeader) -> bool:
    try:
        own = _normal(localizer.numbers("ImageOrientationPatient", 6))
    except ImageRefused:
        return False
    cosine = abs(float(own @ _normal(of_series.orientation)))
    return cosine < math.cos(math.radians(CROSSING_DEG))


def _normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Return the unit normal of a plane; zeros for directions that are no plane, which cross nothing and are refused later."""
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / length if length else normal, np.float64)

"""Scout images inside a series: set aside where they cross the slices, never where one could itself be a slice."""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.ct.headers import CT_IMAGES, MR_IMAGES, SliceHeader, check_kind, image_class
from imaging.ct.raw_slice import RawSlice
from imaging.errors import ImageRefused

CROSSING_DEG = 20.0
"""Scouts lie at 90 degrees to the slices; slices of one series never form such an angle."""
_MR_LOCALIZER = re.compile(r"(^|[^a-z])(localizer|localiser|scout|survey|loc)([^a-z]|$)", re.IGNORECASE)


def is_localizer(raw: RawSlice) -> bool:
    """Tell whether a CT or MR image states in Image Type (0008,0008) that it is a localizer.

    MR images seldom do: their Series Description (0008,103E) and Protocol Name (0018,1030) are examined too.
    """
    kinds = (value.strip() for value in raw.text("ImageType").split("\\"))
    sop_class = raw.text("SOPClassUID")
    if sop_class == MR_IMAGES.single_frame:
        return "LOCALIZER" in kinds or any(
            _MR_LOCALIZER.search(raw.text(k)) for k in ("SeriesDescription", "ProtocolName")
        )
    return sop_class == CT_IMAGES.single_frame and "LOCALIZER" in kinds


def check_localizer(localizer: RawSlice, slices: Sequence[SliceHeader]) -> None:
    """Accept a localizer that can be left out of a series that has these slices.

    Raises ImageRefused for one that lies in the plane of the slices or does not state its orientation, and where there
    are no slices at all.
    """
    if not slices or not _crosses(localizer, slices[0]):
        check_kind(localizer, image_class(localizer))


def _crosses(localizer: RawSlice, of_series: SliceHeader) -> bool:
    try:
        own = _normal(localizer.numbers("ImageOrientationPatient", 6))
    except ImageRefused:
        return False
    cosine = abs(float(own @ _normal(of_series.orientation)))
    return cosine < math.cos(math.radians(CROSSING_DEG))


def _normal(orientation: Sequence[float]) -> NDArray[np.float64]:
    """Return the unit normal of a plane.

    Zeros where the directions span no plane: it crosses nothing, and the image is refused later.
    """
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    return np.asarray(normal / length if length else normal, np.float64)

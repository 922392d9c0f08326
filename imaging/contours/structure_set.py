"""A structure set as it was read: ROIs joined by number, every contour with its type, nothing interpreted."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class GeometricType(StrEnum):
    """Contour Geometric Type (3006,0042), PS3.3 C.8.8.6.1 and C.8.8.6.3."""

    POINT = "POINT"
    OPEN_PLANAR = "OPEN_PLANAR"
    OPEN_NONPLANAR = "OPEN_NONPLANAR"
    CLOSED_PLANAR = "CLOSED_PLANAR"
    CLOSEDPLANAR_XOR = "CLOSEDPLANAR_XOR"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadContour:
    """One contour: points (n, 3) in LPS mm, and the image that it names ("" where it names none)."""

    geometric_type: GeometricType
    points_lps: NDArray[np.float64]
    image_uid: str

    @property
    def is_closed(self) -> bool:
        """Whether the contour bounds an area: closed planar, with three points or more."""
        closed = (GeometricType.CLOSED_PLANAR, GeometricType.CLOSEDPLANAR_XOR)
        return self.geometric_type in closed and len(self.points_lps) >= 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Roi:
    """One ROI: what the three sequences say under its number.

    `fault` says why the ROI cannot be used, "" where it can; it then has no contours rather than some of them.
    `frame_of_reference_uid` is "" where the ROI names none.
    """

    number: int
    name: str
    description: str
    generation_algorithm: str
    interpreted_type: str
    colour_rgb: tuple[int, int, int] | None
    volume_cm3: float | None
    contours: tuple[ReadContour, ...]
    frame_of_reference_uid: str = ""
    fault: str = ""

    @property
    def closed(self) -> tuple[ReadContour, ...]:
        """The contours that bound areas."""
        return tuple(contour for contour in self.contours if contour.is_closed)

    @property
    def others(self) -> tuple[ReadContour, ...]:
        """Points, open contours, and closed ones of fewer than three points: none of them encloses an area."""
        return tuple(contour for contour in self.contours if not contour.is_closed)


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureSet:
    """An RT Structure Set: its identity, what it refers to, its ROIs by ascending number, and what was not read."""

    sop_instance_uid: str
    study_uid: str
    label: str
    approval_status: str
    frame_of_reference_uids: tuple[str, ...]
    referenced_series_uids: tuple[str, ...]
    referenced_image_uids: frozenset[str]
    rois: tuple[Roi, ...]
    notes: tuple[str, ...] = ()

"""How a patient lies in the gantry, and how the same voxels are then stored."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Vector = tuple[int, int, int]


class PatientPosition(StrEnum):
    """Defined terms of Patient Position (0018,5100), PS3.3 C.7.3.1.1.2, for lying patients."""

    HFS = "HFS"
    HFP = "HFP"
    FFS = "FFS"
    FFP = "FFP"
    HFDL = "HFDL"
    HFDR = "HFDR"
    FFDL = "FFDL"
    FFDR = "FFDR"


# along a row (column index grows) and down a column (row index grows), in LPS: down is along gravity, and the
# slices' normal is the patient's superior for head first, inferior for feet first
_ALONG_ROW_AND_DOWN: dict[PatientPosition, tuple[Vector, Vector]] = {
    PatientPosition.HFS: ((1, 0, 0), (0, 1, 0)),
    PatientPosition.HFP: ((-1, 0, 0), (0, -1, 0)),
    PatientPosition.FFS: ((-1, 0, 0), (0, 1, 0)),
    PatientPosition.FFP: ((1, 0, 0), (0, -1, 0)),
    PatientPosition.HFDL: ((0, -1, 0), (1, 0, 0)),
    PatientPosition.HFDR: ((0, 1, 0), (-1, 0, 0)),
    PatientPosition.FFDL: ((0, 1, 0), (1, 0, 0)),
    PatientPosition.FFDR: ((0, -1, 0), (-1, 0, 0)),
}


def directions(position: PatientPosition) -> tuple[Vector, Vector]:
    """Return unit vectors (LPS) along an image row and down an image column: ImageOrientationPatient's two triples."""
    return _ALONG_ROW_AND_DOWN[position]


def as_stored(array_zyx: NDArray[np.int16], position: PatientPosition) -> NDArray[np.int16]:
    """Return a (z, y, x) array with axes +S, +P, +L as (z, row, column) of images taken in ``position``."""
    along, down = directions(position)
    result = array_zyx if along[0] else array_zyx.transpose(0, 2, 1)
    return result[:, :: _sign(down), :: _sign(along)]


def first_pixel_yx(shape_yx: tuple[int, int], position: PatientPosition) -> tuple[int, int]:
    """Return the index (y, x) in the (+P, +L) array of what is stored as row 0, column 0."""
    along, down = directions(position)
    rows, columns = shape_yx
    x = (along if along[0] else down)[0]
    y = (along if along[1] else down)[1]
    return (0 if y > 0 else rows - 1), (0 if x > 0 else columns - 1)


def _sign(vector: Vector) -> int:
    return 1 if sum(vector) > 0 else -1

"""RT Dose objects: the dose in Gy on its own grid, axial or oblique, read or refused."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import RTDoseStorage

from imaging.errors import PARSE_ERRORS, DoseRefused
from imaging.volumes.grid import Grid, Vector

_WHOLE_PLAN = ("PLAN", "MULTI_PLAN", "PLAN_OVERVIEW")
_REGULAR_MM = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class Dose:
    """Dose in Gy, float32, index order z, y, x, on `grid`, whose axes may point anywhere; `notes` are for people."""

    array_zyx: NDArray[np.float32]
    grid: Grid
    frame_of_reference_uid: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an array that does not lie on its grid."""
        if self.array_zyx.shape != self.grid.shape_zyx:
            raise ValueError(f"dose of shape {self.array_zyx.shape} on a grid of {self.grid.shape_zyx}")


def read_dose(data: bytes, name: str = "") -> Dose:
    """Return the dose of an RT Dose file (PS3.3 C.8.8.3), in absolute units; DoseRefused names the tag and the fault.

    Grid Frame Offset Vector may be relative to the first plane or hold positions along z, and may run in either
    direction.
    """
    called = name or "the dose"
    try:
        dataset = dcmread(io.BytesIO(data))
        if str(dataset.get("SOPClassUID", "")) != RTDoseStorage:
            raise DoseRefused(
                f"{called}: SOP Class UID (0008,0016) is '{dataset.get('SOPClassUID', '')}', not RT Dose"
            )
        _check_units(dataset, called)
        array = _values(dataset, called)
        grid = _grid(dataset, array.shape, called)
    except DoseRefused:
        raise
    except PARSE_ERRORS as error:
        raise DoseRefused(f"{called}: cannot be read as an RT Dose: {error}") from error
    return Dose(
        array_zyx=array,
        grid=grid,
        frame_of_reference_uid=str(_required(dataset, "FrameOfReferenceUID", called)),
        notes=_notes(dataset),
    )


def _check_units(dataset: Dataset, called: str) -> None:
    units = str(_required(dataset, "DoseUnits", called))
    if units != "GY":
        raise DoseRefused(f"{called}: Dose Units (3004,0002) is '{units}': doses are compared in GY only")
    kind = str(_required(dataset, "DoseType", called))
    if kind == "ERROR":
        raise DoseRefused(f"{called}: Dose Type (3004,0004) is ERROR: a difference, not a dose")


def _values(dataset: Dataset, called: str) -> NDArray[np.float32]:
    scaling = float(_required(dataset, "DoseGridScaling", called))
    if not (np.isfinite(scaling) and scaling > 0):
        raise DoseRefused(f"{called}: Dose Grid Scaling (3004,000E) is {scaling}; expected a positive number")
    pixels = dataset.pixel_array
    if pixels.ndim != 3 or min(pixels.shape) < 2:
        raise DoseRefused(
            f"{called}: {' x '.join(map(str, pixels.shape))} dose points; a volume needs two or more each way"
        )
    return np.asarray(pixels * np.float64(scaling), np.float32)


def _grid(dataset: Dataset, shape: tuple[int, ...], called: str) -> Grid:
    orientation = np.array(_numbers(dataset, "ImageOrientationPatient", 6, called))
    origin = np.array(_numbers(dataset, "ImagePositionPatient", 3, called))
    dy, dx = _numbers(dataset, "PixelSpacing", 2, called)
    x, y = orientation[:3], orientation[3:]
    normal = np.cross(x, y)
    offsets = np.array(_numbers(dataset, "GridFrameOffsetVector", shape[0], called))
    if abs(offsets[0]) > _REGULAR_MM:
        offsets = _from_positions(offsets, origin, normal, called)
    steps = np.diff(offsets)
    step = float(steps.mean())
    if abs(step) < _REGULAR_MM or not np.allclose(steps, step, atol=_REGULAR_MM):
        found = f"from {steps.min():g} to {steps.max():g} mm"
        raise DoseRefused(
            f"{called}: planes (Grid Frame Offset Vector 3004,000C) lie {found} apart; expected even steps"
        )
    return Grid(
        shape_zyx=(shape[0], shape[1], shape[2]),
        origin_lps=_vector(origin),
        spacing_zyx_mm=(abs(step), dy, dx),
        axes_lps=(_vector(normal * np.sign(step)), _vector(y), _vector(x)),
    )


def _from_positions(
    offsets: NDArray[np.float64], origin: NDArray[np.float64], normal: NDArray[np.float64], called: str
) -> NDArray[np.float64]:
    """Return offsets along the normal from positions along the patient's z, which only axial planes allow."""
    if abs(abs(normal[2]) - 1) > 1e-3 or abs(offsets[0] - origin[2]) > _REGULAR_MM:
        raise DoseRefused(
            f"{called}: Grid Frame Offset Vector (3004,000C) begins with {offsets[0]:g}, which is neither 0 nor the "
            f"first plane's z of {origin[2]:g} mm"
        )
    return np.asarray((offsets - offsets[0]) * np.sign(normal[2]), np.float64)


def _notes(dataset: Dataset) -> tuple[str, ...]:
    summation = str(dataset.get("DoseSummationType", ""))
    if summation in _WHOLE_PLAN:
        return ()
    return (f"Dose Summation Type (3004,000A) is '{summation}': perhaps not the dose of a whole plan",)


def _required(dataset: Dataset, keyword: str, called: str) -> Any:
    if keyword not in dataset or dataset[keyword].value in (None, ""):
        raise DoseRefused(f"{called}: {keyword} is missing")
    return dataset[keyword].value


def _numbers(dataset: Dataset, keyword: str, count: int, called: str) -> list[float]:
    values = [float(v) for v in np.atleast_1d(np.array(_required(dataset, keyword, called), float))]
    if len(values) != count or not np.isfinite(values).all():
        raise DoseRefused(f"{called}: {keyword} has {len(values)} values; expected {count} finite ones")
    return values


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(v) for v in values)
    return x, y, z

"""What the process that compares two sets must know of the job's images; it reads no image itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Self, TypeVar

from imaging.ct.identity import StatedPatient
from imaging.ct.series import ImageSeries
from imaging.volumes.grid import Grid

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class ComparisonTask:
    """What a comparison needs to know of the job's images. `patient` are stated values by keyword, as Latin-1."""

    shape_zyx: tuple[int, int, int]
    origin_lps: tuple[float, float, float]
    spacing_zyx_mm: tuple[float, float, float]
    axes_lps: tuple[tuple[float, float, float], ...]
    frame_of_reference_uid: str
    series_uid: str
    image_uids: tuple[str, ...]
    patient: Mapping[str, str]
    tolerance_mm: float

    @property
    def grid(self) -> Grid:
        """The grid of the job's volume."""
        return Grid(
            shape_zyx=_three(self.shape_zyx),
            origin_lps=_three(self.origin_lps),
            spacing_zyx_mm=_three(self.spacing_zyx_mm),
            axes_lps=_three([_three(axis) for axis in self.axes_lps]),
        )

    def as_line(self, *, a_bytes: int) -> bytes:
        """Return the task as a line of JSON; so many bytes of set A follow, then those of set B."""
        return json.dumps({**asdict(self), "a_bytes": a_bytes}).encode() + b"\n"

    @classmethod
    def of(cls, series: ImageSeries, tolerance_mm: float) -> Self:
        """Return what a comparison on these images needs."""
        grid = series.volume.grid
        patient = StatedPatient.of(series.header).stated
        return cls(
            shape_zyx=grid.shape_zyx,
            origin_lps=grid.origin_lps,
            spacing_zyx_mm=grid.spacing_zyx_mm,
            axes_lps=grid.axes_lps,
            frame_of_reference_uid=series.frame_of_reference_uid,
            series_uid=series.series_uid,
            image_uids=tuple(one.sop_instance_uid for one in series.slices),
            patient={keyword: value.decode("latin-1") for keyword, value in patient.items()},
            tolerance_mm=tolerance_mm,
        )


def _three(values: Sequence[_T]) -> tuple[_T, _T, _T]:
    first, second, third = values
    return first, second, third

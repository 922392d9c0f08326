"""Dose-volume histograms and values read from them, in Gy and cm3; a reason where there is no value."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from evaluation.samples import Samples
from imaging.dose import Dose

DEFAULT_PERCENTS = (2.0, 50.0, 95.0, 98.0)
DEFAULT_CM3 = (0.03, 0.1, 1.0, 2.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dvh:
    """The dose to equal parts of a structure. `refusal` says why there is no histogram; `doses_gy` is then empty."""

    doses_gy: NDArray[np.float64]
    volume_cm3: float
    refusal: str = ""

    @cached_property
    def _ascending(self) -> NDArray[np.float64]:
        return np.sort(self.doses_gy)

    def dose_to_share(self, share: float) -> float:
        """Return the dose in Gy that this share (0..1) of the volume receives at least."""
        return float(np.quantile(self._ascending, 1.0 - share, method="hazen"))

    def share_at(self, dose_gy: float) -> float:
        """Return the share (0..1) of the volume that receives this dose or more."""
        return 1.0 - float(np.searchsorted(self._ascending, dose_gy, side="left")) / len(self._ascending)

    def curve(self, doses_gy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `share_at` for each of several doses."""
        below = np.searchsorted(self._ascending, doses_gy, side="left")
        return np.asarray(1.0 - below / len(self._ascending), np.float64)


@dataclass(frozen=True, kw_only=True)
class DoseValues:
    """Values by name (`mean_gy`, `d95_percent_gy`, `d0.1_cm3_gy`, `v20_gy_percent`), and why any is lacking."""

    values: Mapping[str, float | None]
    reasons: Mapping[str, str]


def dose_volume(samples: Samples, dose: Dose) -> Dvh:
    """Return the dose to a structure, interpolated linearly on the dose's own grid, whatever its axes.

    A dose voxel reaches half a step beyond its point; there, the outermost points' values apply. Refused where the
    structure is empty or any part of it lies beyond that.
    """
    nothing = np.zeros(0)
    if not len(samples.points_lps):
        return Dvh(doses_gy=nothing, volume_cm3=0.0, refusal="empty")
    index = dose.grid.index_zyx(samples.points_lps)
    last = np.array(dose.grid.shape_zyx) - 1
    outside = ((index < -0.5 - 1e-6) | (index > last + 0.5 + 1e-6)).any(axis=1)
    if outside.any():
        share = 100.0 * float(outside.mean())
        words = f"{share:.3g} % of it lies outside the dose grid"
        return Dvh(doses_gy=nothing, volume_cm3=samples.volume_cm3, refusal=words)
    doses = map_coordinates(dose.array_zyx, index.T, output=np.float64, order=1, mode="nearest")
    return Dvh(doses_gy=doses, volume_cm3=samples.volume_cm3)


def dose_values(
    dvh: Dvh,
    percents: tuple[float, ...] = DEFAULT_PERCENTS,
    cm3: tuple[float, ...] = DEFAULT_CM3,
    at_gy: tuple[float, ...] = (),
) -> DoseValues:
    """Return mean, minimum, maximum, Dx%, Dx cm3 and Vx Gy (in % and cm3) of a structure.

    Where the DVH is refused, all but the volume is None, with a reason; so is Dx cm3 where the structure is smaller.
    """
    there = not dvh.refusal
    values: dict[str, float | None] = {
        "volume_cm3": dvh.volume_cm3,
        "mean_gy": float(dvh.doses_gy.mean()) if there else None,
        "min_gy": float(dvh.doses_gy.min()) if there else None,
        "max_gy": float(dvh.doses_gy.max()) if there else None,
    }
    reasons: dict[str, str] = {}
    for percent in percents:
        values[f"d{percent:g}_percent_gy"] = dvh.dose_to_share(percent / 100.0) if there else None
    for volume in cm3:
        name = f"d{volume:g}_cm3_gy"
        values[name] = None
        if there and volume > dvh.volume_cm3:
            reasons[name] = f"smaller than {volume:g} cm3"
        elif there:
            values[name] = dvh.dose_to_share(volume / dvh.volume_cm3)
    for dose_gy in at_gy:
        share = dvh.share_at(dose_gy) if there else None
        values[f"v{dose_gy:g}_gy_percent"] = None if share is None else 100.0 * share
        values[f"v{dose_gy:g}_gy_cm3"] = None if share is None else share * dvh.volume_cm3
    if not there:
        reasons = {name: dvh.refusal for name, value in values.items() if value is None}
    return DoseValues(values=values, reasons=reasons)

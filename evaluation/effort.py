"""The effort of correcting contours: revision classes, recorded or estimated from added path length, and time saved.

Classes are those of SOARS: none, minor (under 1 minute), moderate (1 to 3), major (over 3). The estimate is a straight
line through recorded minutes, and its error is stated for patients that it was not fitted to.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from evaluation.errors import EvaluationRefused
from evaluation.statistics import bootstrap_mean

FEWEST_RECORDS, FEWEST_PATIENTS = 10, 3
COLUMNS = ("patient", "set", "structure", "edit_minutes", "manual_minutes")
Array = NDArray[np.float64]


class Revision(StrEnum):
    """How much a structure had to be corrected."""

    NONE = "no revision"
    MINOR = "minor revision"
    MODERATE = "moderate revision"
    MAJOR = "major revision"


@dataclass(frozen=True, kw_only=True)
class EffortRecord:
    """Recorded times: minutes to correct a structure, and to draw it from scratch where that was timed."""

    patient: str
    set_label: str
    structure: str
    edit_minutes: float
    manual_minutes: float | None


@dataclass(frozen=True, kw_only=True)
class EffortEstimate:
    """Minutes = start + slope x added path length (0 for no path), with its leave-one-patient-out error."""

    start_minutes: float
    minutes_per_cm: float
    records: int
    patients: int
    mean_absolute_error_minutes: float
    same_class_share: float

    def minutes(self, added_path_length_mm: float) -> float:
        """Return the estimated minutes of correction."""
        if added_path_length_mm <= 0:
            return 0.0
        return self.start_minutes + self.minutes_per_cm * added_path_length_mm / 10.0

    def revision(self, added_path_length_mm: float) -> Revision:
        """Return the class of the estimated minutes."""
        return revision_of(self.minutes(added_path_length_mm))


@dataclass(frozen=True, kw_only=True)
class TimeSaved:
    """The share of a patient's contouring time that correcting saves: mean over patients, and bootstrap interval."""

    patients: int
    manual_minutes: float
    edit_minutes: float
    mean_share: float
    low: float | None
    high: float | None


def revision_of(minutes: float) -> Revision:
    """Return the class of a correction time in minutes; ValueError for a negative one."""
    if not minutes >= 0:
        raise ValueError(f"a correction takes 0 minutes or more, not {minutes}")
    if minutes == 0:
        return Revision.NONE
    if minutes < 1:
        return Revision.MINOR
    return Revision.MODERATE if minutes <= 3 else Revision.MAJOR


def read_records(path: Path) -> tuple[EffortRecord, ...]:
    """Read a CSV file with the columns patient, set, structure, edit_minutes and, optionally, manual_minutes."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        lacking = sorted({*COLUMNS[:4]} - {*(reader.fieldnames or ())})
        if lacking:
            raise EvaluationRefused(f"{path}: column {lacking[0]} is missing; expected {', '.join(COLUMNS)}")
        return tuple(_record(path, number, row) for number, row in enumerate(reader, 2))


def fit(records: Sequence[EffortRecord], added_path_length_mm: Sequence[float]) -> EffortEstimate:
    """Fit a straight line to recorded minutes, without negative coefficients, and its error on patients left out.

    Raises EvaluationRefused for fewer than 10 records or 3 patients: an estimate from so few is worthless.
    """
    patients = sorted({record.patient for record in records})
    if len(records) < FEWEST_RECORDS or len(patients) < FEWEST_PATIENTS:
        raise EvaluationRefused(
            f"{len(records)} timed corrections of {len(patients)} patients; an estimate needs {FEWEST_RECORDS} of "
            f"{FEWEST_PATIENTS}"
        )
    lengths = np.asarray(added_path_length_mm, float)
    minutes = np.array([record.edit_minutes for record in records])
    owner = np.array([record.patient for record in records])
    guessed = np.empty_like(minutes)
    for patient in patients:
        held = owner == patient
        guessed[held] = _columns(lengths[held]) @ _line(lengths[~held], minutes[~held])
    start, slope = _line(lengths, minutes)
    same = [revision_of(a) is revision_of(b) for a, b in zip(guessed, minutes, strict=True)]
    return EffortEstimate(
        start_minutes=float(start),
        minutes_per_cm=float(slope),
        records=len(records),
        patients=len(patients),
        mean_absolute_error_minutes=float(np.abs(guessed - minutes).mean()),
        same_class_share=float(np.mean(same)),
    )


def time_saved(records: Sequence[EffortRecord]) -> TimeSaved | None:
    """Return the time saved over drawing from scratch, over structures timed both ways; None where there are none."""
    by_patient: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        if record.manual_minutes:
            by_patient.setdefault(record.patient, []).append((record.edit_minutes, record.manual_minutes))
    if not by_patient:
        return None
    totals = np.array([np.sum(times, axis=0) for times in by_patient.values()])
    shares = 1.0 - totals[:, 0] / totals[:, 1]
    low, high = bootstrap_mean(shares) if len(shares) > 1 else (None, None)
    return TimeSaved(
        patients=len(shares),
        manual_minutes=float(totals[:, 1].mean()),
        edit_minutes=float(totals[:, 0].mean()),
        mean_share=float(shares.mean()),
        low=low,
        high=high,
    )


def _columns(lengths_mm: Array) -> Array:
    return np.column_stack([lengths_mm > 0, lengths_mm / 10.0]).astype(float)


def _line(lengths_mm: Array, minutes: Array) -> Array:
    return np.asarray(nnls(_columns(lengths_mm), minutes)[0], np.float64)


def _record(path: Path, number: int, row: dict[str, str | None]) -> EffortRecord:
    manual = (row.get("manual_minutes") or "").strip()
    return EffortRecord(
        patient=str(row["patient"]),
        set_label=str(row["set"]),
        structure=str(row["structure"]),
        edit_minutes=_minutes(path, number, row["edit_minutes"] or ""),
        manual_minutes=_minutes(path, number, manual) if manual else None,
    )


def _minutes(path: Path, number: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise EvaluationRefused(f"{path}, line {number}: '{text}' is not a number of minutes")
    return value

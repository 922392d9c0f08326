"""Acceptance criteria from a TOML file, and whether a cohort meets them."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evaluation.cohort import CohortResult, CohortRow
from evaluation.definitions import definitions
from evaluation.dose_comparison import DIFFERENCES
from evaluation.errors import EvaluationRefused
from evaluation.geometry import DEFAULT_TOLERANCES_MM
from evaluation.pair import PairState


class Statistic(StrEnum):
    """Which statistic of the cases' values is compared with the limit."""

    MEAN = "mean"
    MEDIAN = "median"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    P5 = "5th percentile"
    P95 = "95th percentile"


class Criterion(BaseModel):
    """One limit. `structure` is a TG-263 name, or "*" for every structure that the cases have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    structure: str = Field(min_length=1)
    metric: str
    statistic: Statistic = Statistic.MEAN
    at_least: float | None = None
    at_most: float | None = None
    missing_at_most: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give either at_least or at_most")
        return self

    @property
    def limit(self) -> str:
        """The limit in words."""
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"


class Criteria(BaseModel):
    """The whole file: the model, the fewest cases, tolerances for surface metrics, and the limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1)
    cases_at_least: Annotated[int, Field(ge=1)] = 10
    tolerances_mm: tuple[Annotated[float, Field(gt=0)], ...] = DEFAULT_TOLERANCES_MM
    criterion: tuple[Criterion, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        known = {d.name for d in definitions(self.tolerances_mm)} | set(DIFFERENCES)
        unknown = [c.metric for c in self.criterion if c.metric not in known]
        if unknown:
            raise ValueError(f"{unknown[0]} is not a metric at these tolerances; see docs/evaluation.md")
        return self


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A criterion applied to one structure.

    The value, the cases behind it, and whether it is met, with the reason.
    """

    criterion: Criterion
    structure: str
    value: float | None
    cases: int
    met: bool
    reason: str = ""


def load_criteria(path: Path) -> Criteria:
    """Read the file; EvaluationRefused names the wrong field."""
    try:
        return Criteria.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise EvaluationRefused(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EvaluationRefused(f"{path}: {where}: {first['msg']}") from error
    except tomllib.TOMLDecodeError as error:
        raise EvaluationRefused(f"{path}: not valid TOML: {error}") from error


def judge(criteria: Criteria, cohort: CohortResult) -> list[Judgement]:
    """Apply every criterion to every structure that it names.

    A missing or spurious structure beyond what a criterion allows fails it, whatever the others' values; so does a
    structure that no case has. A case that could not be evaluated fails every criterion.
    """
    judged: list[Judgement] = []
    for criterion in criteria.criterion:
        structures = cohort.structures if criterion.structure == "*" else (criterion.structure,)
        for structure in structures or ("*",):
            rows = [row for row in cohort.rows if row.structure == structure]
            judged.append(_judge(criterion, structure, rows))
    return judged


def accepted(criteria: Criteria, cohort: CohortResult, judged: Sequence[Judgement]) -> list[str]:
    """Return why the model is not accepted, one line per reason; none where it is accepted."""
    evaluated = [p for p in cohort.patients if not p.failure]
    reasons = [f"case {p.name} could not be evaluated: {p.failure}" for p in cohort.patients if p.failure]
    if len(evaluated) < criteria.cases_at_least:
        reasons.append(f"{len(evaluated)} cases; the criteria ask for {criteria.cases_at_least}")
    unmet = sum(not judgement.met for judgement in judged)
    if unmet:
        reasons.append(f"{unmet} of {len(judged)} criteria are not met")
    return reasons


def _judge(criterion: Criterion, structure: str, rows: Sequence[CohortRow]) -> Judgement:
    absent = sum(row.state in (PairState.MISSING, PairState.SPURIOUS) for row in rows)
    values = [v for row in rows if (v := row.values.get(criterion.metric)) is not None]
    value = _statistic(criterion.statistic, values) if values else None
    reason = ""
    if absent > criterion.missing_at_most:
        reason = f"{absent} missing or spurious, {criterion.missing_at_most} allowed"
    elif value is None:
        reason = "no case has a value"
    elif criterion.at_least is not None and value < criterion.at_least:
        reason = "below the limit"
    elif criterion.at_most is not None and value > criterion.at_most:
        reason = "above the limit"
    return Judgement(
        criterion=criterion,
        structure=structure,
        value=value,
        cases=len(values),
        met=not reason,
        reason=reason,
    )


def _statistic(statistic: Statistic, values: Sequence[float]) -> float:
    array = np.asarray(values, float)
    levels = {
        Statistic.MEDIAN: 50.0,
        Statistic.P5: 5.0,
        Statistic.P95: 95.0,
        Statistic.MINIMUM: 0.0,
        Statistic.MAXIMUM: 100.0,
    }
    level = levels.get(statistic)
    return float(array.mean()) if level is None else float(np.percentile(array, level))

"""Verdicts on a job's images."""

from dataclasses import dataclass

from service.config import Rule


@dataclass(frozen=True, kw_only=True)
class Incomplete:
    """Slices are missing but may still arrive."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Hopeless:
    """The series will never be contoured as it is."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """There is nothing to contour; this is not a fault."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Covered:
    """Another job has every image of this one and more of the series."""

    by: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Complete:
    """Every slice has arrived; the note says how that is known, for the job's history.

    The doubt is stated in the result.
    """

    rule: Rule
    note: str
    doubt: str


Verdict = Incomplete | Hopeless | Nothing | Covered | Complete

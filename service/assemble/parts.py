"""A series that came in parts, under several AE titles: what its rule wants done with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.assemble.inspection import Inspection
from service.assemble.verdicts import Covered, Incomplete
from service.config import Rule, Settings, SplitSeries
from service.store import Elsewhere, JobState, OpenJob, SeriesRepository

CLOSED_WITH_IMAGES = frozenset(
    {JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING, JobState.DONE, JobState.FAILED, JobState.PARKED}
)
"""States of a job that counts as the whole series, though it may have a part."""


@dataclass(frozen=True, kw_only=True)
class Alone:
    """The job's images are to be judged by themselves; the doubt says where others of the series are."""

    doubt: str = ""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Looks for the other images of a series, and for what becomes of them."""

    desk: SeriesRepository
    settings: Settings

    def of(self, job: OpenJob, finding: Inspection, now: datetime) -> Alone | Incomplete | Covered | None:
        """What the other parts of the job's series mean for it; None while one is still growing, or was just merged."""
        rule = finding.rule
        parts = [] if rule is None else self.desk.elsewhere(job)
        if rule is None or not parts:
            return Alone()
        quiet = timedelta(seconds=self.settings.assemble.quiet_s if rule.quiet_s is None else rule.quiet_s)
        if any(now - part.last_received_at < quiet for part in parts):
            return None
        if rule.split_series is SplitSeries.MERGE:
            self.desk.merge(job)
            return None
        if rule.split_series is SplitSeries.SEPARATE:
            return Alone(doubt=_named(parts))
        return self._held(job, rule, parts)

    def _held(self, job: OpenJob, rule: Rule, parts: Sequence[Elsewhere]) -> Incomplete | Covered:
        for part in parts:
            if part.has_all and (part.calling_aet == job.calling_aet or not rule.return_to_sender):
                return Covered(by=part.job_id, reason=f"{_named([part])}, which has all of these too")
            if part.job_state in CLOSED_WITH_IMAGES:
                self.desk.note(part.job_id, _came_elsewhere(job))
        cure = f"send the whole series under one AE title, or set split_series in rule {rule.name}"
        return Incomplete(reason=f"{_named(parts)}; {cure}.")


def _named(parts: Sequence[Elsewhere]) -> str:
    """Where the other images of a series are: "40 other images of this series came from CT1 to CN_B (job 7, done)"."""
    found = [
        f"{part.images} other images of this series came from {part.calling_aet} to {part.called_aet} "
        f"(job {part.job_id}, {part.job_state.value})"
        for part in parts
    ]
    return "; ".join(found)


def _came_elsewhere(job: OpenJob) -> str:
    return (
        f"other images of this series came from {job.calling_aet} to {job.called_aet} (job {job.id}): this one may "
        "have a part of the series alone"
    )

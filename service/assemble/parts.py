"""Series received in parts, under several AE titles, treated as their rule says (`split_series`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from imaging.ct.headers import SliceHeader, parse_header
from imaging.ct.identity import check_one_patient
from imaging.errors import ImageRefused
from service.assemble.inspection import Inspection
from service.assemble.silence import SilenceWatch
from service.assemble.verdicts import Covered, Hopeless, Incomplete, Verdict
from service.config import Rule, Settings, SplitSeries
from service.store import Elsewhere, FileLost, FileStore, JobState, OpenJob, SeriesRepository, StoredInstance

CLOSED_WITH_IMAGES = frozenset(
    {
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.DELIVERING,
        JobState.DONE,
        JobState.RETRYING,
        JobState.FAILED,
    }
)
"""States of a job that counts as the whole series, although it may have only a part."""
IMAGES_OF_A_PART = 3


@dataclass(frozen=True, kw_only=True)
class Alone:
    """The job's images are judged on their own; the doubt says where other images of the series are."""

    doubt: str = ""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Finds the other parts of a series and judges the job accordingly."""

    repository: SeriesRepository
    files: FileStore
    settings: Settings
    silence: SilenceWatch

    def of(self, job: OpenJob, finding: Inspection) -> Verdict | Alone | None:
        """Judge the job by the other parts of its series; None while one is still growing or was just merged."""
        rule = finding.rule
        parts = [] if rule is None else self.repository.elsewhere(job)
        if rule is None or not parts:
            return Alone()
        quiet = timedelta(seconds=self.settings.assemble.quiet_s if rule.quiet_s is None else rule.quiet_s)
        if any(self._silence(part) < quiet for part in parts):
            return None
        two_patients = self._two_patients([job.id, *(part.job_id for part in parts)])
        return Hopeless(reason=two_patients) if two_patients else self._by_rule(job, rule, parts)

    def _silence(self, part: Elsewhere) -> timedelta:
        key = ("part", part.job_id, part.called_aet, part.calling_aet)
        return self.silence.of(key, part.last_received_at)

    def _by_rule(self, job: OpenJob, rule: Rule, parts: Sequence[Elsewhere]) -> Verdict | Alone | None:
        if rule.split_series is SplitSeries.MERGE:
            self.repository.merge(job)
            return None
        return (
            Alone(doubt=_named(parts))
            if rule.split_series is SplitSeries.SEPARATE
            else self._held(job, rule, parts)
        )

    def _two_patients(self, jobs: Sequence[int]) -> str:
        """Describe how the patients of several jobs differ, using a few images of each; empty if it is one patient.

        Images within one job are compared when that job is inspected.
        """
        headers = [
            header
            for job_id in jobs
            for image in self.repository.instances_of(job_id)[:IMAGES_OF_A_PART]
            if (header := self._header(image)) is not None
        ]
        try:
            check_one_patient(headers)
        except ImageRefused as reason:
            return reason.message
        return ""

    def _header(self, image: StoredInstance) -> SliceHeader | None:
        """Read an image's header; None if it is not a slice or is unreadable: its own job reports that."""
        try:
            return parse_header(self.files.read(image.file.path), image.sop_instance_uid)
        except (ImageRefused, FileLost):
            return None

    def _held(self, job: OpenJob, rule: Rule, parts: Sequence[Elsewhere]) -> Incomplete | Covered:
        for part in parts:
            if part.has_all and (part.calling_aet == job.calling_aet or not rule.return_to_sender):
                return Covered(by=part.job_id, reason=f"{_named([part])}, which has all of these too")
            if part.job_state in CLOSED_WITH_IMAGES:
                self.repository.note(part.job_id, _came_elsewhere(job))
        cure = f"send the whole series under one AE title, or set split_series in rule {rule.name}"
        return Incomplete(reason=f"{_named(parts)}; {cure}.")


def _named(parts: Sequence[Elsewhere]) -> str:
    """Say where other images of a series are: "40 other images of this series came from CT1 to CN_B (job 7, done)"."""
    found = [
        f"{part.images} other images of this series came from {part.calling_aet} to {part.called_aet} "
        f"(job {part.job_id}, {part.job_state.value})"
        for part in parts
    ]
    return "; ".join(found)


def _came_elsewhere(job: OpenJob) -> str:
    return (
        f"other images of this series came from {job.calling_aet} to {job.called_aet} (job {job.id}): this one may "
        "have only a part of the series"
    )

"""Looks at the series that are still growing and decides: wait, queue, or refuse with the reason."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BytesIO

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from imaging.errors import ImageRefused, RefusalCode
from imaging.headers import parse_header
from imaging.stack import check_stack
from inference.spec import ModelSpec
from service.config import Rule, SeriesFacts, Settings
from service.errors import TryAgain
from service.journal import about
from service.store import Clock, FileLost, FileStore, OpenJob, Order, Sealed, SeriesDesk

log = logging.getLogger(__name__)

CURED_BY_MORE_SLICES = frozenset(
    {RefusalCode.MISSING_SLICES, RefusalCode.TOO_FEW_SLICES, RefusalCode.IRREGULAR_SPACING}
)


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """What the slices of a job said when it had `slice_count` of them."""

    slice_count: int
    rule: Rule | None
    facts: SeriesFacts
    refusal: ImageRefused | None


@dataclass(kw_only=True)
class Assembler:
    """Turns quiet, complete series into queued jobs; several may look at the same database."""

    desk: SeriesDesk
    files: FileStore
    settings: Settings
    models: Mapping[str, ModelSpec]
    clock: Clock
    _findings: dict[int, _Finding] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        """Look at the open jobs until told to stop; a database that is gone is waited for."""
        while not stop.is_set():
            try:
                self.look()
            except TryAgain as reason:
                log.warning("open series not looked at: %s", reason)
            stop.wait(self.settings.assemble.poll_s)

    def look(self) -> None:
        """Decide once about every open job."""
        jobs = self.desk.open_jobs()
        open_ids = {job.id for job in jobs}
        self._findings = {job_id: f for job_id, f in self._findings.items() if job_id in open_ids}
        for job in jobs:
            with about(job_id=job.id):
                self._decide(job, self.clock())

    def _decide(self, job: OpenJob, now: datetime) -> None:
        quiet = timedelta(seconds=self._quiet_s(job))
        if now - job.last_received_at < quiet:
            return
        try:
            finding = self._finding(job)
        except (FileLost, InvalidDicomError) as reason:
            if not self._refuse_damaged(job):
                log.warning("job %d is looked at again: %s", job.id, reason)
            return
        if finding.rule is not None and now - job.last_received_at < timedelta(
            seconds=self._rule_quiet_s(finding.rule)
        ):
            return
        if finding.refusal is not None:
            self._hold_or_refuse(job, finding.refusal, now)
        elif finding.rule is None:
            self._refuse(job, _no_rule(finding.facts))
        else:
            self._seal(job, finding.rule)

    def _quiet_s(self, job: OpenJob) -> float:
        """The shortest time that any rule for this sender could wait: the rule itself needs a look at the slices."""
        waits = [
            self._rule_quiet_s(rule)
            for rule in self.settings.rules
            if rule.called_aet in (None, job.called_aet)
            and (not rule.calling_aets or job.calling_aet in rule.calling_aets)
        ]
        return min(waits, default=self.settings.assemble.quiet_s)

    def _rule_quiet_s(self, rule: Rule) -> float:
        return self.settings.assemble.quiet_s if rule.quiet_s is None else rule.quiet_s

    def _finding(self, job: OpenJob) -> _Finding:
        known = self._findings.get(job.id)
        if known is None or known.slice_count != job.slice_count:
            known = self._examine(job)
            self._findings[job.id] = known
        return known

    def _examine(self, job: OpenJob) -> _Finding:
        instances = self.desk.instances_of(job.id)
        facts = _facts(job, self.files.read(instances[0].file.path))
        refusal: ImageRefused | None = None
        try:
            check_stack(
                [
                    parse_header(self.files.read(instance.file.path), instance.sop_instance_uid)
                    for instance in instances
                ]
            )
        except ImageRefused as reason:
            refusal = reason
        rule = self.settings.rule_for(facts)
        return _Finding(slice_count=job.slice_count, rule=rule, facts=facts, refusal=refusal)

    def _hold_or_refuse(self, job: OpenJob, refusal: ImageRefused, now: datetime) -> None:
        waited = now - job.last_received_at
        patience = timedelta(seconds=self.settings.assemble.incomplete_timeout_s)
        if refusal.code in CURED_BY_MORE_SLICES and waited < patience:
            if self.desk.hold(job.id, f"incomplete: {refusal.message}"):
                log.info("job %d waits: %s", job.id, refusal.message)
            return
        if not self._refuse_damaged(job):
            self._refuse(job, refusal.message)

    def _refuse(self, job: OpenJob, reason: str) -> None:
        if self.desk.refuse(job.id, reason):
            log.warning("job %d refused: %s", job.id, reason)

    def _refuse_damaged(self, job: OpenJob) -> bool:
        """Refuse the job where a stored image is not what was received; False where all are."""
        for instance in self.desk.instances_of(job.id):
            if not self.files.verify(instance.file):
                self.desk.damaged(instance.file.path)
                message = f"the stored image {instance.sop_instance_uid} is missing or damaged"
                self._refuse(job, f"{message}; send the series again")
                return True
        return False

    def _seal(self, job: OpenJob, rule: Rule) -> None:
        if not self.settings.destinations_for(rule, job.calling_aet):
            self._refuse(job, _nowhere_to_go(rule, job))
            return
        model = self.models[rule.model]
        sealed = self.desk.seal(
            job,
            Order(rule=rule.name, model=model.name, model_version=model.version, priority=rule.priority),
        )
        if sealed is not Sealed.CHANGED:
            log.info("job %d: %d slices, rule %s: %s", job.id, job.slice_count, rule.name, sealed.value)


def _facts(job: OpenJob, data: bytes) -> SeriesFacts:
    """What rules ask about, from one of the series' images; an attribute that is absent is an empty text."""
    image = dcmread(
        BytesIO(data), stop_before_pixels=True, specific_tags=["BodyPartExamined", "SeriesDescription"]
    )
    return SeriesFacts(
        called_aet=job.called_aet,
        calling_aet=job.calling_aet,
        body_part=str(image.BodyPartExamined or "") if "BodyPartExamined" in image else "",
        series_description=str(image.SeriesDescription or "") if "SeriesDescription" in image else "",
    )


def _no_rule(facts: SeriesFacts) -> str:
    return (
        f"no rule matches a series sent by {facts.calling_aet} to {facts.called_aet} (Body Part Examined "
        f"{facts.body_part!r}); the images are kept; add a rule to the settings and run the job again"
    )


def _nowhere_to_go(rule: Rule, job: OpenJob) -> str:
    return (
        f"rule {rule.name} returns the structure set to the sender, but no entry of [peers] has the AE title "
        f"{job.calling_aet}; add one and retry the job"
    )

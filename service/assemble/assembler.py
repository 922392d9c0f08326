"""Examine the open series and decide for each: wait, queue, or refuse with the reason."""

import logging
import threading
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta

from inference.contract import ModelContract
from service.assemble.inspection import Inspection, SeriesInspector
from service.assemble.parts import Alone, Parts
from service.assemble.reasons import (
    cone_beam,
    how_known,
    joined,
    model_is_gone,
    no_rule,
    nowhere_to_go,
    rule_is_gone,
    short_of,
)
from service.assemble.returned_sets import ReturnedSets
from service.assemble.sender_counts import ImageCount, SenderCounts
from service.assemble.silence import SilenceWatch
from service.assemble.study_requirements import StudyRequirements
from service.assemble.verdicts import Complete, Covered, Hopeless, Incomplete, Nothing, Verdict
from service.config import AfterWaiting, Rule, Settings
from service.errors import TryAgain
from service.logs import log_context
from service.rules import HeldRules
from service.store import CloseOutcome, ContouringOrder, FileStore, OpenJob, SeriesRepository, Wanted
from service.store.jobs.wanted import AS_THE_RULES_SAY

log = logging.getLogger(__name__)

_Series = tuple[str, str]  # Study and Series Instance UID


@dataclass(kw_only=True)
class Assembler:
    """Turns quiet, complete series into queued jobs; several assemblers may share a database."""

    repository: SeriesRepository
    files: FileStore
    settings: Settings
    models: Mapping[str, ModelContract]
    counts: SenderCounts
    silence: SilenceWatch
    returned_sets: ReturnedSets | None = None
    rules: Callable[[], HeldRules] | None = (
        None  # returns the active rules; None: always those of the settings
    )
    why_not: Callable[[], str] = lambda: ""  # why no series may be closed at present; empty if they may
    _waits_for: str = ""
    _rule_set: int | None = None  # the version of the rules; None: the settings' own
    _template_sha256: dict[str, str] = field(init=False)
    _inspector: SeriesInspector = field(init=False)
    _companions: StudyRequirements = field(init=False)
    _parts: Parts = field(init=False)

    def __post_init__(self) -> None:
        """Create the helpers that only this object uses."""
        self._go_by(self.settings if self.rules is None else self.settings.with_rules(()))
        self._parts = Parts(
            repository=self.repository, files=self.files, settings=self.settings, silence=self.silence
        )
        self._companions = StudyRequirements(
            repository=self.repository, files=self.files, settings=self.settings, silence=self.silence
        )

    def _go_by(self, settings: Settings) -> None:
        """Judge by the rules of these settings; series that were looked at are looked at again."""
        self._template_sha256 = {rule.name: rule.template_sha256() for rule in settings.rules}
        self._inspector = SeriesInspector(repository=self.repository, files=self.files, settings=settings)
        self.settings = settings

    def follow_rules(self) -> str:
        """Follow the active rules; return why they cannot be applied to any series, empty if they can.

        Raises:
            TryAgain: the database does not answer.
        """
        held = None if self.rules is None else self.rules()
        if held is None or held.faults or held.settings is self.settings:
            return "" if held is None else held.why_not
        log.info(
            "rules from now on: %s", f"version {held.number}" if held.number else "those of the settings"
        )
        self._go_by(held.settings)
        self._rule_set = held.recorded_as
        return ""

    def run(self, stop: threading.Event) -> None:
        """Judge open jobs until ``stop`` is set; an unavailable database is waited for."""
        while not stop.is_set():
            try:
                reason = self.why_not() or self.follow_rules()
                if not reason:
                    self.poll_once()
                    if self.returned_sets is not None:
                        self.returned_sets.poll_once()
                elif reason != self._waits_for:
                    log.warning("no series is judged: %s", reason)
                self._waits_for = reason
            except TryAgain as reason:
                log.warning("open series not examined: %s", reason)
            stop.wait(self.settings.advanced.poll_s)

    def poll_once(self) -> None:
        """Judge every open job once."""
        self.silence.look()
        jobs = self.repository.open_jobs()
        open_ids = {job.id for job in jobs}
        self._inspector.keep_only(open_ids)
        self.counts.keep_only(open_ids)
        if not jobs:
            self._companions.forget()
        verdicts = []
        for job in jobs:
            with log_context(job_id=job.id):
                verdicts.append((job, self._judge(job)))
        ready = {
            (job.study_uid, job.series_uid) for job, verdict in verdicts if isinstance(verdict, Complete)
        }
        for job, verdict in verdicts:
            with log_context(job_id=job.id):
                self._act(job, verdict, ready)

    def _act(self, job: OpenJob, verdict: Verdict | None, ready: Set[_Series]) -> None:
        if isinstance(verdict, Hopeless):
            self._refuse(job, verdict.reason)
        elif isinstance(verdict, Nothing):
            if self.repository.nothing_to_contour(job, verdict.reason):
                log.info("job %d: %s", job.id, verdict.reason)
        elif isinstance(verdict, Covered):
            self.repository.give_way(job, verdict.by, verdict.reason)
        elif isinstance(verdict, Incomplete):
            self._hold_or_refuse(job, verdict.reason)
        elif verdict is not None:
            self._seal_or_hold(job, verdict, ready)

    def _judge(self, job: OpenJob) -> Verdict | None:
        """Judge the job by its own images; None while more images, or an answer, may arrive at any moment."""
        silence = self._silence(job)
        if silence < timedelta(seconds=self._quiet_s(job)):
            return None
        finding = self._inspector.finding(job)
        if finding is None or silence < timedelta(seconds=self._rule_quiet_s(finding.rule)):
            return None
        parts = self._parts.of(job, finding)
        return self._whole(job, finding, parts.doubt) if isinstance(parts, Alone) else parts

    def _whole(self, job: OpenJob, finding: Inspection, doubt: str) -> Verdict | None:
        """Judge a job's images without the sender's count; ``doubt`` says where other images of the series are."""
        if finding.is_unreadable:
            return self._lacking(job, finding)
        if finding.rule is None and job.wanted.rule:
            return Hopeless(reason=rule_is_gone(job.wanted.rule))
        if finding.rule is None:
            return self._without_rule(finding)
        if finding.refusal and not finding.nothing:
            return self._lacking(job, finding)
        return self._known(job, finding, finding.rule, doubt)

    def _without_rule(self, finding: Inspection) -> Verdict:
        """Judge a series without a rule: nothing to contour, or refused if cone-beam CT that a CT rule matches."""
        if finding.rule_for_ct is not None:
            return Hopeless(reason=cone_beam(finding.cone_beam, finding.rule_for_ct))
        return _nothing(no_rule(finding.facts))

    def _known(self, job: OpenJob, finding: Inspection, rule: Rule, doubt: str) -> Verdict | None:
        """Judge a gapless series by the sender's count; None while it is not known."""
        count = self._count(job)
        if count is None:
            return None
        counted = self._counted(job, finding, rule, count, doubt)
        if finding.nothing and isinstance(counted, Complete):
            return _nothing(finding.nothing)
        return counted

    def _lacking(self, job: OpenJob, finding: Inspection) -> Verdict:
        if not finding.is_curable:
            return Hopeless(reason=self._inspector.damage(job) or finding.refusal)
        return Incomplete(reason=finding.refusal + self._said(job, self._count(job)))

    def _count(self, job: OpenJob) -> ImageCount | None:
        """Return the sender's count of the series and record it in the job; None while the query is running."""
        count = self.counts.of(job)
        if count is not None and count.images is not None and count.images != job.expected_images:
            self.repository.expect(job.id, count.images)
        return count

    def _counted(
        self, job: OpenJob, finding: Inspection, rule: Rule, count: ImageCount, doubt: str
    ) -> Verdict:
        received = job.slice_count if count.images is None else self._received(job, count.images)
        if count.images is not None and received < count.images:
            return Incomplete(reason=f"{short_of(job, received, count.images)}.")
        notes = [*finding.notes, *how_known(job, finding, count), doubt]
        doubts = [finding.doubt if count.images is None else "", doubt]
        return Complete(rule=rule, note=joined(notes), doubt=joined(doubts))

    def _said(self, job: OpenJob, count: ImageCount | None) -> str:
        """Say whether the missing slices of a series with gaps are missing only here or at the sender too."""
        if count is None or count.images is None:
            return ""
        return f" The node {short_of(job, self._received(job, count.images), count.images)}."

    def _received(self, job: OpenJob, wanted: int) -> int:
        """Return how many objects of the series were received; non-CT objects count where they could matter."""
        if job.slice_count >= wanted:
            return job.slice_count
        return job.slice_count + self.repository.others_in_series(job.study_uid, job.series_uid)

    def _silence(self, job: OpenJob) -> timedelta:
        return self.silence.of(("job", job.id), job.last_received_at)

    def _quiet_s(self, job: OpenJob) -> float:
        """Return the shortest quiet time of any rule for this sender, before the slices are examined."""
        waits = [
            self._rule_quiet_s(rule)
            for rule in self.settings.rules
            if rule.called_aet in (None, job.called_aet)
            and (not rule.calling_aets or job.calling_aet in rule.calling_aets)
        ]
        return min(waits, default=self.settings.assemble.quiet_s)

    def _rule_quiet_s(self, rule: Rule | None) -> float:
        own = None if rule is None else rule.quiet_s
        return self.settings.assemble.quiet_s if own is None else own

    def _hold_or_refuse(self, job: OpenJob, reason: str) -> None:
        patience_s = self.settings.assemble.incomplete_timeout_s
        if self._silence(job) < timedelta(seconds=patience_s):
            self._hold(job, f"incomplete: {reason}")
        else:
            in_vain = f"incomplete: {reason} Nothing came for {patience_s:g} s."
            self._refuse(job, self._inspector.damage(job) or in_vain)

    def _seal_or_hold(self, job: OpenJob, verdict: Complete, ready: Set[_Series]) -> None:
        rule = verdict.rule
        if job.wanted.model and job.wanted.model not in self.models:
            self._refuse(job, model_is_gone(job.wanted.model, self.models))
            return
        if rule.return_to_sender and not self.settings.destinations_for(rule, job.calling_aet):
            self._refuse(job, nowhere_to_go(rule, job))
            return
        of_the_study = {series_uid for study_uid, series_uid in ready if study_uid == job.study_uid}
        lack = self._companions.lack(job, rule, of_the_study)
        if lack is None:
            self._seal(job, verdict)
        elif lack.silence < timedelta(seconds=rule.wait_for_timeout_s):
            self._hold(job, lack.words)
        elif rule.wait_for_then is AfterWaiting.CONTOUR:
            in_vain = f"waited {rule.wait_for_timeout_s:g} s in vain {lack.words}"
            self._seal(job, replace(verdict, note=joined([verdict.note, in_vain])))
        else:
            self._refuse(job, f"rule {rule.name} waits {lack.words}; waited {rule.wait_for_timeout_s:g} s")

    def _hold(self, job: OpenJob, reason: str) -> None:
        if self.repository.set_waiting(job.id, reason) and job.reason != reason:
            log.info("job %d waits: %s", job.id, reason)

    def _refuse(self, job: OpenJob, reason: str) -> None:
        finding = self._inspector.finding(job)
        rule = (
            "" if finding is None or finding.rule is None else finding.rule.name
        )  # it names the destinations of the failure report
        if self.repository.refuse(job, reason, rule=rule, rule_set=self._rule_set):
            log.warning("job %d refused: %s", job.id, reason)

    def _seal(self, job: OpenJob, verdict: Complete) -> None:
        rule, finding = verdict.rule, self._inspector.finding(job)
        shadows = () if finding is None else finding.shadows
        closed = self.repository.close_series(
            job, self._order(rule, verdict, job.wanted), [self._order(shadow, verdict) for shadow in shadows]
        )
        if closed is not CloseOutcome.CHANGED:
            log.info("job %d: %d slices, rule %s: %s", job.id, job.slice_count, rule.name, closed.value)

    def _order(self, rule: Rule, verdict: Complete, wanted: Wanted = AS_THE_RULES_SAY) -> ContouringOrder:
        model, version = rule.model, rule.model_version
        if wanted.model:
            model, version = wanted.model, wanted.model_version
        return ContouringOrder(
            rule=rule.name,
            model=model,
            model_version=self.models[model].version if version is None else version,
            priority=rule.priority,
            note=verdict.note,
            doubt=verdict.doubt,
            template_sha256=self._template_sha256[rule.name],
            purpose=rule.purpose,
            rule_set=self._rule_set,
        )


def _nothing(what: str) -> Nothing:
    return Nothing(reason=f"nothing to contour: {what}")

"""The worker: process queued jobs one by one, and classify failures as refused, postponed or failed."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from imaging.ct.series import SourceFile
from inference.contract import ModelContract
from inference.errors import AnswerLost, CaseTooLarge, ModelFailed, ModelUnavailable
from inference.host_memory import Memory, host_memory
from inference.segment import Predictor
from service.config import Rule, Settings
from service.errors import Refused, TryAgain
from service.logs import log_context
from service.rules import HeldRules
from service.store import ClaimedJob, NewArtifact, StructureResult, WorkQueue
from service.store.objects import StoredContent, keep_artifact
from service.template import Template, load_template
from service.work.case import PipelineRequest
from service.work.failure_report import FailureReports
from service.work.heartbeat import Heartbeat, LeaseLost
from service.work.origin import producer
from service.work.pipeline import Stage, run_pipeline
from service.work.series_reading import DamagedImage, load_sources
from service.work.structure_results import merged

log = logging.getLogger(__name__)

READING = 3
"""Memory to read a series, as a multiple of its files: the files, the volume, and one more copy of either."""


class Contracts(Protocol):
    """The contracts that a job may name, every version of every model; a ModelLibrary is one."""

    def version(self, name: str, version: int) -> ModelContract | None:
        """Return the contract of one version; None if there is none."""
        ...


class ModelServer(Predictor, Protocol):
    """A predictor that can prove that tensors reach it unchanged; a TritonClient is one."""

    def check(self) -> None:
        """Send a known tensor and compare it with what comes back; raises ModelFailed or ModelUnavailable."""
        ...


@dataclass(kw_only=True)
class Worker:
    """Claims jobs, runs the pipeline on each, stores its objects and queues their deliveries.

    `has_room` returns why nothing may be written now, or None; it logs the reason. `memory` returns what the host has
    left. `at_rest` is called when no job is due.
    """

    name: str
    queue: WorkQueue
    content: StoredContent
    server: ModelServer
    models: Contracts
    rules: Callable[[int | None], HeldRules]  # the version by which a job was queued
    settings: Settings
    failure_reports: FailureReports | None = None
    has_room: Callable[[], str | None] = lambda: None
    why_held: Callable[[], str] = lambda: ""  # why no job may be claimed at the moment; empty if one may
    memory: Callable[[], Memory] = host_memory
    at_rest: Callable[[], None] = lambda: None
    _server_checked: bool = False
    _held_for: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; the running job is finished first."""
        self._stop = stop
        while not stop.is_set():
            try:
                may_work = not self._is_held() and self.has_room() is None
                busy = may_work and (self._report_one_failure() or self.work_one())
            except TryAgain as reason:
                log.warning("no job can be claimed: %s", reason)
                busy = False
            if not busy:
                self.at_rest()
                stop.wait(self.settings.advanced.poll_s)

    def _is_held(self) -> bool:
        reason = self.why_held()
        if reason and reason != self._held_for:
            log.warning("no job is claimed: %s", reason)
        self._held_for = reason
        return bool(reason)

    def _report_one_failure(self) -> bool:
        return self.failure_reports is not None and self.failure_reports.report_one()

    def work_one(self) -> bool:
        """Claim one job and finish it, or record its failure; False when none was due."""
        claim = self.queue.claim(
            self.name,
            lease_s=self.settings.advanced.silent_s,
            max_attempts=self.settings.work.max_attempts,
        )
        if claim is None:
            return False
        with log_context(job_id=claim.id):
            self._process(claim)
        return True

    def _process(self, claim: ClaimedJob) -> None:
        times = self.settings.advanced
        log.info("job %d: attempt %d", claim.id, claim.attempt)
        try:
            with Heartbeat(self.queue, claim, lease_s=times.silent_s, every_s=times.heartbeat_s) as heartbeat:
                self._contour(claim, heartbeat)
        except LeaseLost:
            log.warning("job %d: the lease was lost; its result is discarded", claim.id)
        except (Refused, CaseTooLarge) as reason:
            log.warning("job %d refused: %s", claim.id, reason)
            self.queue.refuse(claim, reason=str(reason))
        except AnswerLost as reason:
            self._lost(claim, reason)
        except (TryAgain, ModelUnavailable) as reason:
            self._server_checked = False
            log.warning("job %d postponed: %s", claim.id, reason)
            self.queue.postpone(claim, reason=str(reason), delay_s=times.backoff_s)
        except ModelFailed as reason:
            self._server_checked = False
            log.exception("job %d failed", claim.id)
            self._fail(claim, str(reason))
        except Exception as error:
            log.exception("job %d failed through a bug in this program", claim.id)
            self._fail(claim, f"{type(error).__name__} in this program; the worker's log has the details")

    def _lost(self, claim: ClaimedJob, reason: AnswerLost) -> None:
        """Count an attempt if the server was lost while it had this job, unless the node is stopping."""
        self._server_checked = False
        log.warning("job %d: the model server was lost with it: %s", claim.id, reason)
        if self._stop.is_set():
            delay_s = self.settings.advanced.backoff_s
            self.queue.postpone(claim, reason="the node is stopping", delay_s=delay_s)
        else:
            self._fail(claim, f"the model server was lost while it had this case: {reason}")

    def _contour(self, claim: ClaimedJob, heartbeat: Heartbeat) -> None:
        contract = self.models.version(claim.model, claim.model_version)
        if contract is None:
            raise TryAgain(
                f"model {claim.model} version {claim.model_version} is not in this worker's model repository"
            )
        held = self.rules(claim.rule_set)
        rule = _rule(claim, held)
        template = _template(rule, contract, held)
        request = PipelineRequest(rule=rule, contract=contract, template=template, settings=held.settings)
        self._self_test(heartbeat)
        result = self._result(claim, request, heartbeat)
        if not self.queue.finish(claim, made=result.made, notes=result.notes, structures=result.structures):
            for one in result.made:
                self.content.published.delete(one.file.path)
            raise LeaseLost
        log.info("job %d contoured; %d artifacts kept", claim.id, len(result.made))

    def _result(self, claim: ClaimedJob, request: PipelineRequest, heartbeat: Heartbeat) -> "_Result":
        """Run the pipeline and store its objects durably."""
        artifacts: list[NewArtifact] = []
        provenance = {
            "rule": request.rule.name,
            **({} if claim.rule_set is None else {"rules_version": str(claim.rule_set)}),
            "template": request.template.name,
            "software": producer(claim.model, str(claim.model_version)).software_version,
        }
        notes: list[str] = []
        structures: tuple[StructureResult, ...] = ()
        for made in run_pipeline(claim, self._sources(claim), request, self.server, heartbeat.stage):
            artifacts.append(
                NewArtifact(
                    kind=made.kind,
                    file=keep_artifact(self.content.published, made.data),
                    destinations=tuple(name for name in made.destinations if name not in made.standby),
                    standby=made.standby,
                    sop_instance_uid=made.sop_instance_uid,
                    weights_sha256=request.contract.package_sha256,
                    provenance={"object": made.key, **provenance},
                )
            )
            notes += made.notes
            structures = merged(structures, made.structures)
        every = [*dict.fromkeys(notes), _model_note(request.contract)]
        return _Result(made=artifacts, notes=every, structures=structures)

    def _sources(self, claim: ClaimedJob) -> list[SourceFile]:
        instances = self.queue.instances_of(claim.id)
        size_bytes = sum(instance.file.size_bytes for instance in instances)
        self.memory().admit(
            READING * size_bytes, f"reading {len(instances)} images of {size_bytes / 1e9:.1f} GB"
        )
        try:
            return load_sources(self.content.received, instances)
        except DamagedImage as reason:
            self.queue.damaged(reason.path)
            self.content.take_out(reason.path)
            raise

    def _self_test(self, heartbeat: Heartbeat) -> None:
        """Test the model server before the first job, and again after any failure of it."""
        if not self._server_checked:
            heartbeat.stage(Stage.SELF_TEST)
            self.server.check()
            self._server_checked = True

    def _fail(self, claim: ClaimedJob, reason: str) -> None:
        delay_s = self.settings.advanced.job_delay_s(claim.attempt)
        self.queue.fail(claim, reason=reason, max_attempts=self.settings.work.max_attempts, delay_s=delay_s)


@dataclass(frozen=True, kw_only=True)
class _Result:
    """The result of an attempt at a job: artifacts, notes, and the structures' rows."""

    made: list[NewArtifact]
    notes: list[str]
    structures: tuple[StructureResult, ...]


def _rule(claim: ClaimedJob, held: HeldRules) -> Rule:
    for rule in held.settings.rules:
        if rule.name == claim.rule:
            return rule
    raise Refused(f"the rule {claim.rule} no longer exists; restore it and retry the job")


def _template(rule: Rule, contract: ModelContract, held: HeldRules) -> Template:
    """Return the rule's template, read again for a model that a person ordered instead of the rule's own.

    Raises:
        TemplateRefused: it names structures that this model does not make.
    """
    if contract.name == rule.model or rule.template is None:
        return held.templates[rule.name]
    return load_template(rule.template, contract.labels)


def _model_note(contract: ModelContract) -> str:
    """Return the model as the job's history names it; the server was compared with this checksum."""
    return f"model {contract.name} version {contract.version}, package sha256 {contract.package_sha256}"

"""Takes queued jobs one after another and decides what a failure means for each."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from imaging.ct.series import SourceFile
from imaging.dicom.uids import derived_uid
from inference.contract import ModelContract
from inference.errors import ModelFailed, ModelUnavailable
from service.config import Settings
from service.errors import Refused, TryAgain
from service.logs import log_context
from service.store import ClaimedJob, FileStore, OutputFile, WorkQueue
from service.template import Template
from service.work.failure_report import FailureReports
from service.work.heartbeat import Heartbeat, LeaseLost
from service.work.model_server import ModelServer
from service.work.outputs import OutputRequest, build_outputs
from service.work.pipeline import ContouringResult, DamagedImage, contour, load_sources

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Worker:
    """One worker: claims, contours, stores, and hands over to the outbox."""

    name: str
    queue: WorkQueue
    files: FileStore
    server: ModelServer
    models: Mapping[str, ModelContract]
    templates: Mapping[str, Template]
    settings: Settings
    failure_reports: FailureReports | None = None
    has_room: Callable[[], str | None] = lambda: (
        None
    )  # why nothing may be written now; said in the log by itself
    _server_checked: bool = False

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; the job in hand is finished first."""
        while not stop.is_set():
            try:
                busy = self.has_room() is None and (self._tell_one() or self.work_one())
            except TryAgain as reason:
                log.warning("no job taken: %s", reason)
                busy = False
            if not busy:
                stop.wait(self.settings.work.poll_s)

    def _tell_one(self) -> bool:
        return self.failure_reports is not None and self.failure_reports.report_one()

    def work_one(self) -> bool:
        """Claim and end one job, well or not; False when none was due."""
        work = self.settings.work
        claim = self.queue.claim(self.name, lease_s=work.lease_s, max_attempts=work.max_attempts)
        if claim is None:
            return False
        with log_context(job_id=claim.id):
            self._end(claim)
        return True

    def _end(self, claim: ClaimedJob) -> None:
        """Contour a claimed job, or record what a failure means for it."""
        work = self.settings.work
        log.info("job %d: attempt %d", claim.id, claim.attempt)
        try:
            with Heartbeat(self.queue, claim, lease_s=work.lease_s, every_s=work.heartbeat_s) as heartbeat:
                self._contour(claim, heartbeat)
        except LeaseLost:
            log.warning("job %d was taken away from this worker; its result is dropped", claim.id)
        except Refused as reason:
            log.warning("job %d refused: %s", claim.id, reason)
            self.queue.refuse(claim, reason=str(reason))
        except (TryAgain, ModelUnavailable) as reason:
            self._server_checked = False
            log.warning("job %d waits: %s", claim.id, reason)
            self.queue.postpone(claim, reason=str(reason), delay_s=work.unavailable_delay_s)
        except ModelFailed as reason:
            self._server_checked = False
            log.exception("job %d failed", claim.id)
            self._fail(claim, str(reason))
        except Exception as error:
            log.exception("job %d failed by a fault of this program", claim.id)
            self._fail(claim, f"{type(error).__name__} in this program; the worker's log has the details")

    def _contour(self, claim: ClaimedJob, heartbeat: Heartbeat) -> None:
        contract = self.models.get(claim.model)
        if contract is None or contract.version != claim.model_version:
            raise TryAgain(
                f"model {claim.model} version {claim.model_version} is not in this worker's model repository"
            )
        self._check_server(heartbeat)
        sources = self._sources(claim)
        contoured = contour(sources, contract, self.server, heartbeat.stage)
        del sources
        heartbeat.stage("writing")
        parcels, notes = self._written(claim, contoured)
        if not self.queue.finish(claim, parcels=parcels, notes=notes):
            raise LeaseLost
        log.info("job %d contoured; %d objects to be sent", claim.id, len(parcels))

    def _sources(self, claim: ClaimedJob) -> list[SourceFile]:
        try:
            return load_sources(self.files, self.queue.instances_of(claim.id))
        except DamagedImage as reason:
            self.queue.damaged(reason.path)
            self.files.take_out(reason.path)
            raise

    def _written(self, claim: ClaimedJob, contoured: ContouringResult) -> tuple[list[OutputFile], list[str]]:
        """Every object that goes out as a durable file with its destinations, and what to know of them."""
        rule = next((r for r in self.settings.rules if r.name == claim.rule), None)
        if rule is None:
            raise Refused(
                f"the rule {claim.rule} is not in the settings any more; restore it and retry the job"
            )
        parcels: list[OutputFile] = []
        notes = list(contoured.segmentation.notes)
        order = OutputRequest(rule=rule, template=self.templates[rule.name], settings=self.settings)
        for made in build_outputs(claim, contoured, order):
            stored = self.files.put(derived_uid(made.key, str(claim.uid)), made.data)
            parcels += [
                OutputFile(destination=name, file=stored, fallback_for=made.standby.get(name, ()))
                for name in made.destinations
            ]
            notes += made.notes
        return parcels, _once(notes, order.template)

    def _check_server(self, heartbeat: Heartbeat) -> None:
        """Send a known tensor before the first job, and again after any trouble with the server."""
        if not self._server_checked:
            heartbeat.stage("checking the model server")
            self.server.check()
            self._server_checked = True

    def _fail(self, claim: ClaimedJob, reason: str) -> None:
        work = self.settings.work
        delay_s = min(work.backoff_s * 2 ** (claim.attempt - 1), work.backoff_max_s)
        self.queue.fail(claim, reason=reason, max_attempts=work.max_attempts, delay_s=delay_s)


def _once(notes: Sequence[str], template: Template) -> list[str]:
    """The notes without repeats; a structure that the model did not find is not told as empty too."""
    repeated = {
        f"{entry.name}: empty" for entry in template.structure if f"{entry.source}: not found" in notes
    }
    return [note for note in dict.fromkeys(notes) if note not in repeated]

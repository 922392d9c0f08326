"""Failure reports: objects that show at the rule's destinations that a job failed for good."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread

from imaging.ct.failed_series import failed_series
from imaging.ct.series import SourceFile
from imaging.errors import ImageRefused, StructureSetNotWritable
from imaging.export.profiles import PROFILES, ExportProfile
from imaging.outputs.failure_object import FailureReport, failure_page, failure_structure_set
from imaging.rtstruct.writing import Producer
from inference.contract import ModelContract
from service.config import OnFailure, ProfileName, Rule, Settings
from service.errors import Refused, TryAgain
from service.rules import HeldRules
from service.store import ArtifactKind, FailedJob, FailureReportQueue, NewArtifact
from service.store.objects import StoredContent, keep_artifact
from service.work.origin import producer

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FailureReports:
    """Makes the failure reports of jobs that stay failed until a person acts; never of one that will be retried."""

    queue: FailureReportQueue
    content: StoredContent
    settings: Settings
    rules: Callable[
        [int | None], HeldRules
    ]  # the version of the rules by which a job was queued, even if it does not fit the models
    models: Mapping[str, ModelContract]

    def report_one(self) -> bool:
        """Report one failed job, or record that it needs no report; False when there was none.

        Raises:
            TryAgain: the database or the disk is not available.
        """
        failure = self.queue.next_failure()
        if failure is None:
            return False
        held = self.rules(failure.rule_set)
        rule = next((rule for rule in held.settings.rules if rule.name == failure.rule), None)
        names = [] if rule is None else self._untold(failure, rule)
        if rule is None or rule.on_failure is OnFailure.NONE or not names:
            self.queue.skip(failure)
            return True
        try:
            self._send(failure, rule, names)
        except TryAgain:
            raise
        except (Refused, ImageRefused, StructureSetNotWritable) as reason:
            log.warning("job %d: no failure report: %s", failure.id, reason)
            self.queue.skip(failure, f"no failure report could be made: {reason}")
        except Exception as error:  # the report of one job must not end the worker
            log.exception("job %d: no failure report, through a bug in this program", failure.id)
            self.queue.skip(failure, f"no failure report: {type(error).__name__} in this program")
        return True

    def _untold(self, failure: FailedJob, rule: Rule) -> list[str]:
        """Return the rule's destinations that still exist and do not have the result."""
        names = self.settings.destinations_for(rule, failure.calling_aet)
        return [name for name in names if name in self.settings.peers and name not in failure.served]

    def _send(self, failure: FailedJob, rule: Rule, names: Sequence[str]) -> None:
        report = FailureReport(
            series=failed_series(self._sources(failure)),
            reason=_reason(failure, names),
            producer=self._producer(rule),
            job_uid=str(failure.uid),
            created=failure.failed_at.astimezone(),
        )
        kind = "an empty structure set" if rule.on_failure is OnFailure.STRUCTURE_SET else "a page"
        try:
            outputs = self._outputs(failure, rule.on_failure, report, names)
        except StructureSetNotWritable as reason:  # a page can refer to any images
            outputs = self._outputs(failure, OnFailure.CAPTURE, report, names)
            kind = f"a page, because no structure set can be made: {reason};"
        if self.queue.send(failure, outputs, f"failure report: {kind} for {', '.join(names)}: {report.text}"):
            log.info("job %d: failure report for %d destinations", failure.id, len(names))
        else:
            for one in outputs:
                self.content.published.delete(one.file.path)

    def _sources(self, failure: FailedJob) -> Iterator[SourceFile]:
        for instance in self.queue.instances_of(failure.id):
            yield SourceFile(
                name=instance.sop_instance_uid, data=self.content.received.read(instance.file.path)
            )

    def _outputs(
        self, failure: FailedJob, kind: OnFailure, report: FailureReport, names: Sequence[str]
    ) -> list[NewArtifact]:
        by_key: dict[str, list[str]] = {}
        profiles: dict[str, ExportProfile] = {}
        for name in names:
            destination = self.settings.destination(name)
            profile = ProfileName.STANDARD if destination is None else destination.profile
            key = "page" if kind is OnFailure.CAPTURE else f"set {PROFILES[profile].transfer_syntax}"
            by_key.setdefault(key, []).append(name)
            profiles.setdefault(key, PROFILES[profile])
        return [
            self._artifact(failure, report, key, None if kind is OnFailure.CAPTURE else profiles[key], names)
            for key, names in by_key.items()
        ]

    def _artifact(
        self,
        failure: FailedJob,
        report: FailureReport,
        key: str,
        profile: ExportProfile | None,
        names: Sequence[str],
    ) -> NewArtifact:
        """Make and store one report: a structure set in the profile, or a page if there is no profile."""
        data = failure_page(report) if profile is None else failure_structure_set(report, profile)
        return NewArtifact(
            kind=ArtifactKind.CAPTURE if profile is None else ArtifactKind.STRUCTURE_SET,
            file=keep_artifact(self.content.published, data),
            destinations=tuple(names),
            sop_instance_uid=str(dcmread(BytesIO(data), specific_tags=["SOPInstanceUID"]).SOPInstanceUID),
            provenance={"object": key, "rule": failure.rule},
        )

    def _producer(self, rule: Rule) -> Producer:
        contract = self.models.get(rule.model)
        return producer(rule.model, "unknown" if contract is None else str(contract.version))


def _reason(failure: FailedJob, names: Sequence[str]) -> str:
    """Return the reason as shown in the TPS, without the destination's own message, which could name a patient."""
    if failure.was_contoured:
        return (
            f"job {failure.id} was contoured, but the structure set did not reach {', '.join(names)}; ask the "
            "administrator of Contour Node"
        )
    return f"job {failure.id} was {failure.state}: {failure.reason}"

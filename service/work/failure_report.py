"""Tells a rule's destinations that a job failed for good."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from imaging.ct.failed_series import failed_series
from imaging.ct.series import SourceFile
from imaging.dicom.uids import derived_uid
from imaging.errors import ImageRefused, StructureSetNotWritable
from imaging.export.profiles import PROFILES
from imaging.outputs.failure_object import FailureReport, failure_page, failure_structure_set
from imaging.rtstruct.writing import Producer
from inference.contract import ModelContract
from service.config import OnFailure, ProfileName, Rule, Settings
from service.errors import Refused, TryAgain
from service.store import FailedJob, FailureReportQueue, FileStore, OutputFile

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FailureReports:
    """Makes the reports of jobs that stay failed until a person acts; never of one that is tried again by itself."""

    desk: FailureReportQueue
    files: FileStore
    settings: Settings
    models: Mapping[str, ModelContract]

    def report_one(self) -> bool:
        """Decide about one failed job; False when there was none. Raises TryAgain where store or disk are away."""
        failure = self.desk.next_failure()
        if failure is None:
            return False
        rule = next((rule for rule in self.settings.rules if rule.name == failure.rule), None)
        names = [] if rule is None else self._to_be_told(failure, rule)
        if rule is None or rule.on_failure is OnFailure.NONE or not names:
            self.desk.skip(failure)
            return True
        try:
            self._tell(failure, rule, names)
        except TryAgain:
            raise
        except (Refused, ImageRefused, StructureSetNotWritable) as reason:
            log.warning("job %d: no failure report: %s", failure.id, reason)
            self.desk.skip(failure, f"no failure report could be made: {reason}")
        except Exception as error:  # one job's report must not end the worker
            log.exception("job %d: no failure report by a fault of this program", failure.id)
            self.desk.skip(failure, f"no failure report: {type(error).__name__} in this program")
        return True

    def _to_be_told(self, failure: FailedJob, rule: Rule) -> list[str]:
        names = self.settings.destinations_for(rule, failure.calling_aet)
        return [name for name in names if name not in failure.served]

    def _tell(self, failure: FailedJob, rule: Rule, names: Sequence[str]) -> None:
        report = FailureReport(
            series=failed_series(self._sources(failure)),
            reason=_reason(failure, names),
            producer=self._producer(rule),
            job_uid=str(failure.uid),
            created=failure.failed_at.astimezone(),
        )
        kind = "an empty structure set" if rule.on_failure is OnFailure.STRUCTURE_SET else "a page"
        try:
            parcels = self._parcels(failure, rule.on_failure, report, names)
        except StructureSetNotWritable as reason:  # a page can refer to any images
            parcels = self._parcels(failure, OnFailure.CAPTURE, report, names)
            kind = f"a page, because no structure set can be made: {reason};"
        if self.desk.send(failure, parcels, f"failure report: {kind} for {', '.join(names)}: {report.text}"):
            log.info("job %d: failure report for %d destinations", failure.id, len(names))

    def _sources(self, failure: FailedJob) -> Iterator[SourceFile]:
        for instance in self.desk.instances_of(failure.id):
            yield SourceFile(name=instance.sop_instance_uid, data=self.files.read(instance.file.path))

    def _parcels(
        self, failure: FailedJob, kind: OnFailure, report: FailureReport, names: Sequence[str]
    ) -> list[OutputFile]:
        made: dict[str, bytes] = {}
        parcels = []
        for name in names:
            destination = self.settings.destination(name)
            profile = ProfileName.STANDARD if destination is None else destination.profile
            key = "page" if kind is OnFailure.CAPTURE else f"set {PROFILES[profile].transfer_syntax}"
            if key not in made:
                made[key] = (
                    failure_page(report)
                    if kind is OnFailure.CAPTURE
                    else failure_structure_set(report, PROFILES[profile])
                )
            stored = self.files.put(derived_uid("failure notice", key, str(failure.uid)), made[key])
            parcels.append(OutputFile(destination=name, file=stored))
        return parcels

    def _producer(self, rule: Rule) -> Producer:
        contract = self.models.get(rule.model)
        return Producer(
            manufacturer="Contour Node",
            model_name="Contour Node",
            software_version=version("contour-node"),
            algorithm_name=rule.model,
            algorithm_version="unknown" if contract is None else str(contract.version),
        )


def _reason(failure: FailedJob, names: Sequence[str]) -> str:
    """What people read at the planning system; a destination's own words, which could name a patient, are left out."""
    if failure.was_contoured:
        return (
            f"job {failure.id} was contoured, but the structure set did not reach {', '.join(names)}; ask the "
            "administrator of Contour Node"
        )
    return f"job {failure.id} was {failure.state}: {failure.reason}"

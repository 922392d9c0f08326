"""One job, from its stored slices to masks: the steps in order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from imaging.ct.series import CtSeries, SourceFile, read_ct
from imaging.errors import ImageRefused
from inference.contract import ModelContract
from inference.judgement import PlausibilityFinding
from inference.segment import Segmentation, segment
from service.config import Rule
from service.errors import Refused
from service.store import FileDamaged, FileStore, StoredInstance
from service.work.model_server import ModelServer
from service.work.plausibility import body_of_case, judged

SetStage = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ContouringResult:
    """A CT series and what a model found in it."""

    series: CtSeries
    segmentation: Segmentation
    contract: ModelContract
    findings: tuple[PlausibilityFinding, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)  # on implausible structures, by the model's code


def contour(
    sources: Sequence[SourceFile], contract: ModelContract, server: ModelServer, rule: Rule, stage: SetStage
) -> ContouringResult:
    """Read the series, contour it with one model, and judge what it found.

    Raises:
        Refused: the images cannot be contoured, do not show what the model is for, or nothing plausible was found in
            them; the message names tag, object and what to do.
        ModelUnavailable, ModelFailed: as the server has it.
    """
    stage("reading")
    try:
        series = read_ct(sources)
    except ImageRefused as reason:
        raise Refused(reason.message) from reason
    body = body_of_case(series.volume, contract, rule)
    stage("contouring")
    answer = judged(segment(series.volume, contract, server), body, rule)
    return ContouringResult(
        series=series,
        segmentation=answer.segmentation,
        contract=contract,
        findings=answer.findings,
        remarks=answer.remarks,
    )


def load_sources(files: FileStore, instances: Sequence[StoredInstance]) -> list[SourceFile]:
    """The stored objects of a job, named by SOP Instance UID; DamagedImage where one is not what was received."""
    return [
        SourceFile(name=instance.sop_instance_uid, data=_whole(files, instance)) for instance in instances
    ]


class DamagedImage(Refused):
    """An image's stored file cannot be used; `path` is its file."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def _whole(files: FileStore, instance: StoredInstance) -> bytes:
    try:
        return files.read_whole(instance.file)
    except FileDamaged as reason:
        message = f"the stored image {instance.sop_instance_uid} is missing or damaged; send the series again"
        raise DamagedImage(message, reason.path) from reason

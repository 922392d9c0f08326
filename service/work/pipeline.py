"""One job, from its stored slices to masks: the steps in order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imaging.ct.plausible_hu import check_hounsfield, check_neighbours
from imaging.ct.series import CtSeries, SourceFile, read_ct
from imaging.ct.units import UNSPECIFIED
from imaging.errors import ImageRefused
from imaging.volumes.volume import Volume
from inference.contract import ModelContract
from inference.judgement import PlausibilityFinding
from inference.segment import Segmentation, segment
from service.errors import Refused
from service.store import FileDamaged, FileStore, StoredInstance
from service.work.model_server import ModelServer
from service.work.plausibility import PlausibilityRule, body_of_case, judged

SetStage = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ContouringResult:
    """A CT series and what a model found in it."""

    series: CtSeries
    segmentation: Segmentation
    contract: ModelContract
    findings: tuple[PlausibilityFinding, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)  # on implausible structures, by the model's code


@dataclass(frozen=True, kw_only=True)
class CaseChecks:
    """What may be contoured and leave: the Rescale Types taken for HU, and what doubtful and implausible cases become."""

    rescale_types: tuple[str, ...] = (UNSPECIFIED,)
    refuse_doubtful: bool = True
    plausibility: PlausibilityRule = field(default_factory=PlausibilityRule)


BY_DEFAULT = CaseChecks()


def contour(
    sources: Sequence[SourceFile],
    contract: ModelContract,
    server: ModelServer,
    stage: SetStage,
    checks: CaseChecks = BY_DEFAULT,
) -> ContouringResult:
    """Read the series, look at its values and at the body, contour it with one model, and judge what it found.

    Notes of what is implausible come first, then those of the reading.

    Raises:
        Refused: the images cannot be contoured, do not show what the model is for, or nothing plausible was found in
            them; the message names tag, object and what to do.
        ModelUnavailable, ModelFailed: as the server has it.
    """
    stage("reading")
    try:
        series = read_ct(sources, checks.rescale_types)
        notes = [*series.notes, *_doubts(series.volume, refuse=checks.refuse_doubtful)]
    except ImageRefused as reason:
        raise Refused(reason.message) from reason
    body = body_of_case(series.volume, contract, checks.plausibility)
    stage("contouring")
    found = segment(series.volume, contract, server)
    answer = judged(replace(found, notes=(*notes, *found.notes)), body, checks.plausibility)
    return ContouringResult(
        series=series,
        segmentation=answer.segmentation,
        contract=contract,
        findings=answer.findings,
        remarks=answer.remarks,
    )


def _doubts(volume: Volume, *, refuse: bool) -> Iterator[str]:
    """What speaks against Hounsfield units of one scan; the first such thing as ImageRefused where it refuses."""
    for check in (check_hounsfield, check_neighbours):
        try:
            check(volume)
        except ImageRefused as doubt:
            if refuse:
                raise
            yield doubt.message


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

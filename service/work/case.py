"""The values passed between the pipeline's steps for one job."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imaging.anatomy import StructurePlacement
from imaging.ct.series import ImageSeries
from imaging.ct.units import UNSPECIFIED
from imaging.volumes.volume import Mask
from inference.contract import ModelContract
from inference.judgement import PlausibilityFinding
from inference.segment import Segmentation
from service.config import Doubted, Rule, Settings
from service.store import ArtifactKind, ClaimedJob, StructureResult
from service.template import Template
from service.template.apply import AppliedTemplate
from service.work.plausibility import PlausibilityRule


@dataclass(frozen=True, kw_only=True)
class CaseChecks:
    """How strictly a case is checked: Rescale Types taken for HU, doubtful pixel values, implausible structures."""

    rescale_types: tuple[str, ...] = (UNSPECIFIED,)
    refuse_doubtful: bool = True
    plausibility: PlausibilityRule = field(default_factory=PlausibilityRule)


@dataclass(frozen=True, kw_only=True)
class PipelineRequest:
    """What to make from a job's series: the rule, its model and template, and the settings that apply."""

    rule: Rule
    contract: ModelContract
    template: Template
    settings: Settings

    @property
    def checks(self) -> CaseChecks:
        """The checks that the rule and the settings ask for."""
        return CaseChecks(
            rescale_types=self.settings.checks.rescale_types,
            refuse_doubtful=self.rule.doubtful_values is Doubted.REFUSE,
            plausibility=PlausibilityRule(
                implausible=self.rule.implausible, other_region=self.rule.other_region
            ),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ContouringResult:
    """A CT series and the structures that a model found in it."""

    series: ImageSeries
    segmentation: Segmentation
    contract: ModelContract
    findings: tuple[PlausibilityFinding, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)  # on implausible structures, by the model's code
    placed: Mapping[str, StructurePlacement] = field(default_factory=dict)  # empty for a model without limits
    left_out: Mapping[str, Mask] = field(
        default_factory=dict
    )  # the implausible ones; `segmentation` has them empty


@dataclass(frozen=True, kw_only=True, eq=False)
class DerivedCase:
    """A contoured job with its template applied: everything that its output objects are made from."""

    job: ClaimedJob
    contoured: ContouringResult
    applied: AppliedTemplate


@dataclass(frozen=True, kw_only=True)
class OutputObject:
    """One output object: its bytes, its key within the job, its destinations, and notes for the job's history.

    `structures` are the rows of its structures, where it is a structure set for a destination of the rule's own.
    `standby` maps each fallback destination among `destinations` to the destinations that it stands in for.
    """

    key: str
    kind: ArtifactKind
    sop_instance_uid: str
    data: bytes
    destinations: tuple[str, ...]
    notes: tuple[str, ...] = ()
    standby: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    structures: tuple[StructureResult, ...] = ()
    roi_names: Mapping[int, str] = field(default_factory=dict)  # by ROI number, of a structure set

"""What leaves the node for one job: a structure set for each kind of destination, and what the rule asks for beside it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from imaging.dicom.uids import derived_uid
from imaging.errors import StructureSetNotWritable
from imaging.export.masks import ProfileChange, RoiMask, export
from imaging.outputs import (
    OutputsNotWritable,
    OutputsRequest,
    OutputsStructure,
    make_capture,
    make_report,
    make_segmentation,
)
from imaging.rtstruct.writing import Producer, StructureSetRequest, write_structure_set
from imaging.validation import Severity, refusal, validate
from inference.structures import own_structures
from service.config import CompanionObject, Rule, Settings
from service.errors import Refused
from service.store import ClaimedJob
from service.template import Template
from service.template.apply import AppliedTemplate, apply, with_remarks
from service.work.effective_profile import EffectiveProfile, written_for
from service.work.origin import label, origin_notes, predecessor_uid
from service.work.pipeline import ContouringResult


@dataclass(frozen=True, kw_only=True)
class OutputObject:
    """One object as a file's bytes, what to call it, who gets it, and what people should know of it.

    `standby` names those of the destinations that get it only in place of others, and these.
    """

    key: str
    data: bytes
    destinations: tuple[str, ...]
    notes: tuple[str, ...] = ()
    standby: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class OutputRequest:
    """What is asked for: by a rule of these settings, with the structures of its template."""

    rule: Rule
    template: Template
    settings: Settings


def build_outputs(
    job: ClaimedJob, contoured: ContouringResult, order: OutputRequest
) -> Iterator[OutputObject]:
    """Everything that goes out, structure sets first; the same bytes for every attempt at the job.

    Each structure set is read back and checked before it is yielded. Raises Refused where the model found nothing,
    no valid object can hold what it found, or a structure set does not pass its check. Fallback destinations have
    theirs made too; one whose profile cannot hold what was found is left out, and a note says so.
    """
    if not any(mask.voxels() for mask in contoured.segmentation.masks.by_code.values()):
        contract = contoured.contract
        raise Refused(
            f"the model {contract.name} found none of its structures ({', '.join(contract.labels)}) in this series; "
            "check that the CT shows the region the rule is for"
        )
    rule, settings = order.rule, order.settings
    segmentation = contoured.segmentation
    own = own_structures(contoured.contract)
    applied = apply(order.template, segmentation.masks, contoured.series.volume, own)
    applied = with_remarks(applied, order.template, contoured.remarks)
    names = settings.destinations_for(rule, job.calling_aet)
    result = (contoured, applied)
    try:
        in_reserve, notes = _for_fallbacks(job, result, settings, settings.fallbacks_for(names))
        for written, destinations in _by_profile(settings, names).items():
            made = _structure_set(job, result, written, destinations)
            yield replace(made, notes=(*made.notes, *notes))
        yield from in_reserve
        standby = {name: instead_of for made in in_reserve for name, instead_of in made.standby.items()}
        request = _beside(job, contoured, applied)
        for kind in rule.beside:
            data = _made(kind, request, rule)
            yield OutputObject(key=str(kind), data=data, destinations=(*names, *standby), standby=standby)
    except (StructureSetNotWritable, OutputsNotWritable) as reason:
        raise Refused(str(reason)) from reason


def _for_fallbacks(
    job: ClaimedJob,
    result: tuple[ContouringResult, AppliedTemplate],
    settings: Settings,
    standby: Mapping[str, tuple[str, ...]],
) -> tuple[list[OutputObject], list[str]]:
    """The structure sets for fallback destinations, and which of them cannot have one."""
    in_reserve, notes = [], []
    for written, destinations in _by_profile(settings, tuple(standby)).items():
        try:
            made = _structure_set(job, result, written, destinations)
            in_reserve.append(replace(made, notes=(), standby={name: standby[name] for name in destinations}))
        except (Refused, StructureSetNotWritable) as reason:
            notes.append(f"no fallback to {', '.join(destinations)}: {reason}")
    return in_reserve, notes


def _by_profile(settings: Settings, names: Sequence[str]) -> Mapping[EffectiveProfile, list[str]]:
    by_profile: dict[EffectiveProfile, list[str]] = defaultdict(list)
    for name in names:
        destination = settings.destination(name)
        if destination is not None:  # destinations_for and fallbacks_for give only names that have one
            by_profile[written_for(destination)].append(name)
    return by_profile


def _structure_set(
    job: ClaimedJob,
    result: tuple[ContouringResult, AppliedTemplate],
    written: EffectiveProfile,
    destinations: Sequence[str],
) -> OutputObject:
    contoured, applied = result
    profile = written.called
    exported = export(_request(job, contoured, profile), _rois(contoured, applied), written.profile)
    data = write_structure_set(exported.request)
    findings = validate(data, written.profile, masks=exported.masks, series=contoured.series)
    failed = refusal(findings)
    if failed is not None:
        raise Refused(
            f"the structure set for profile {profile} did not pass its check and was not sent: {failed}"
        )
    warnings = [
        f"profile {profile}: {f.path}: {f.message}" for f in findings if f.severity is Severity.WARNING
    ]
    return OutputObject(
        key=f"structure set {profile}",
        data=data,
        destinations=tuple(destinations),
        notes=(*applied.notes, *(_told(profile, change) for change in exported.changes), *warnings),
    )


def _rois(contoured: ContouringResult, applied: AppliedTemplate) -> list[RoiMask]:
    return [
        RoiMask(
            structure=item.structure,
            name=item.name,
            mask=item.mask,
            number=item.number,
            description="; ".join(
                filter(None, (item.remark, item.description, _certainty(contoured, item.model_code)))
            ),
        )
        for item in applied.structures
    ]


def _certainty(contoured: ContouringResult, code: str) -> str:
    """How sure the model was; nothing of a structure that is derived from others."""
    mean = contoured.segmentation.mean_probability.get(code)
    return "" if mean is None else f"Mean probability inside: {mean:.2f}"


def _request(job: ClaimedJob, contoured: ContouringResult, profile: str) -> StructureSetRequest:
    job_uid, contract = str(job.uid), contoured.contract
    made = f"UNAPPROVED, for research use. Contoured without a person by {contract.name} version {contract.version}."
    return StructureSetRequest(
        series=contoured.series,
        rois=(),
        label=label(job, contract.name),
        description=" ".join([made, *origin_notes(job), *contoured.segmentation.notes]),
        sop_instance_uid=derived_uid("structure set", profile, job_uid),
        predecessor_uid=predecessor_uid(job, profile),
        series_instance_uid=derived_uid("structure set series", profile, job_uid),
        created=job.queued_at.astimezone(),
        producer=_producer(contoured),
    )


def _beside(job: ClaimedJob, contoured: ContouringResult, applied: AppliedTemplate) -> OutputsRequest:
    mean = contoured.segmentation.mean_probability
    return OutputsRequest(
        series=contoured.series,
        structures=[
            OutputsStructure(
                structure=item.structure,
                mask=item.mask,
                mean_probability=mean.get(item.model_code),
                notes=(item.remark,) if item.remark else (),
            )
            for item in applied.structures
        ],
        notes=(*origin_notes(job), *contoured.segmentation.notes, *applied.notes),
        producer=_producer(contoured),
        job_uid=str(job.uid),
        created=job.queued_at.astimezone(),
    )


def _made(kind: CompanionObject, request: OutputsRequest, rule: Rule) -> bytes:
    if kind is CompanionObject.SEGMENTATION:
        return make_segmentation(request)
    if kind is CompanionObject.REPORT:
        return make_report(request, cites_segmentation=CompanionObject.SEGMENTATION in rule.beside)
    return make_capture(request)


def _producer(contoured: ContouringResult) -> Producer:
    return Producer(
        manufacturer="Contour Node",
        model_name="Contour Node",
        software_version=version("contour-node"),
        algorithm_name=contoured.contract.name,
        algorithm_version=str(contoured.contract.version),
    )


def _told(profile: str, change: ProfileChange) -> str:
    where = f"{change.roi}: " if change.roi else ""
    return f"profile {profile}: {where}{change.what}: {change.before} -> {change.after} ({change.why})"

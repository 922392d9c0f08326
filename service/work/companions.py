"""The companion objects that a rule asks for along with the structure set: segmentation, report, capture."""

from collections.abc import Iterator, Sequence

from imaging.outputs import (
    OutputsRequest,
    OutputsStructure,
    make_capture,
    make_report,
    make_segmentation,
)
from service.config import CompanionObject, Rule
from service.store import ArtifactKind
from service.work.case import DerivedCase, OutputObject, PipelineRequest
from service.work.export_targets import delivered_to
from service.work.origin import origin_notes, producer


def companion_objects(
    case: DerivedCase, request: PipelineRequest, fallbacks: Sequence[OutputObject]
) -> Iterator[OutputObject]:
    """Yield the companion objects of the rule; the destinations of `fallbacks` get them on standby."""
    names = delivered_to(case.job, request)
    standby = {name: instead_of for made in fallbacks for name, instead_of in made.standby.items()}
    outputs = _outputs_request(case)
    for kind in request.rule.companions:
        data = _encoded(kind, outputs, request.rule)
        yield OutputObject(
            key=str(kind),
            kind=ArtifactKind(kind.value),
            sop_instance_uid=outputs.uid(kind.value),
            data=data,
            destinations=(*names, *standby),
            standby=standby,
        )


def _outputs_request(case: DerivedCase) -> OutputsRequest:
    job, segmentation, contract = case.job, case.contoured.segmentation, case.contoured.contract
    return OutputsRequest(
        series=case.contoured.series,
        structures=[
            OutputsStructure(
                structure=item.structure,
                mask=item.mask,
                mean_probability=segmentation.mean_probability.get(item.model_code),
                notes=(item.remark,) if item.remark else (),
            )
            for item in case.applied.structures
        ],
        notes=(*origin_notes(job), *segmentation.notes, *case.applied.notes),
        producer=producer(contract.name, str(contract.version)),
        job_uid=str(job.uid),
        created=job.queued_at.astimezone(),
    )


def _encoded(kind: CompanionObject, outputs: OutputsRequest, rule: Rule) -> bytes:
    if kind is CompanionObject.SEGMENTATION:
        return make_segmentation(outputs)
    if kind is CompanionObject.REPORT:
        return make_report(outputs, cites_segmentation=CompanionObject.SEGMENTATION in rule.companions)
    return make_capture(outputs)

"""The pipeline of one job: read -> predict -> derive -> export -> write -> validate.

This module shows the whole chain, one line per step; the job's history uses the same names for its stages.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

from imaging.ct.series import SourceFile
from imaging.errors import StructureSetNotWritable
from imaging.export.masks import export
from imaging.outputs import OutputsNotWritable
from imaging.rtstruct.writing import write_structure_set
from inference.contract import ModelContract
from inference.segment import Predictor, segment
from service.errors import Refused
from service.store import ArtifactKind, ClaimedJob
from service.work.case import (
    CaseChecks,
    ContouringResult,
    DerivedCase,
    OutputObject,
    PipelineRequest,
)
from service.work.companions import companion_objects
from service.work.derivation import derive_structures, history_notes
from service.work.export_targets import ExportTarget, export_targets, fallback_targets
from service.work.plausibility import body_of_case, judged, modality_notes
from service.work.series_reading import read_series
from service.work.structure_results import as_sent, measured_structures
from service.work.structure_set import change_notes, roi_masks, structure_set_request, validate_structure_set


class Stage(StrEnum):
    """The stages of a running job, as its history and the metrics name them."""

    SELF_TEST = "self-test"
    READ = "read"
    PREDICT = "predict"
    DERIVE = "derive"
    EXPORT = "export"
    WRITE = "write"
    VALIDATE = "validate"


SetStage = Callable[[Stage], None]

DEFAULT_CHECKS = CaseChecks()


def run_pipeline(
    job: ClaimedJob,
    sources: Sequence[SourceFile],
    request: PipelineRequest,
    server: Predictor,
    set_stage: SetStage,
) -> Iterator[OutputObject]:
    """Yield the job's output objects, structure sets first; every attempt at the job yields the same bytes.

    A fallback destination whose profile cannot hold the structures is left out, with a note.

    Raises:
        Refused: the series cannot be contoured, nothing (plausible) was found in it, no valid object can hold what
            was found, or a structure set is invalid; the message names the object and the remedy.
        ModelUnavailable, ModelFailed: from the model server.
    """
    contoured = contour(sources, request.contract, server, set_stage, request.checks)
    del sources  # frees the images' bytes; the volume holds their values
    set_stage(Stage.DERIVE)
    case = derive_structures(job, contoured, request.template)
    measured = measured_structures(contoured, case.applied.structures, request.template)
    try:
        fallbacks, skipped = _fallback_sets(case, request, set_stage)
        for target in export_targets(job, request):
            structure_set = _structure_set(case, target, set_stage)
            notes = history_notes(case, request.template, (*structure_set.notes, *skipped))
            rows = as_sent(measured, structure_set.roi_names)
            yield replace(structure_set, notes=notes, structures=rows)
        yield from fallbacks
        if request.rule.companions:
            set_stage(Stage.WRITE)
            yield from companion_objects(case, request, fallbacks)
    except (StructureSetNotWritable, OutputsNotWritable) as reason:
        raise Refused(str(reason)) from reason


def contour(
    sources: Sequence[SourceFile],
    contract: ModelContract,
    server: Predictor,
    set_stage: SetStage,
    checks: CaseChecks = DEFAULT_CHECKS,
) -> ContouringResult:
    """Read a series, check that it shows the model's region, contour it, and judge the structures found.

    Notes on implausible structures come first, then those of the reading.

    Raises:
        Refused, ModelUnavailable, ModelFailed: as in `run_pipeline`.
    """
    set_stage(Stage.READ)
    series, notes = read_series(sources, checks)
    notes += modality_notes(series.modality, contract)
    body = body_of_case(series, contract, checks.plausibility)
    set_stage(Stage.PREDICT)
    found = segment(series.volume, contract, server)
    answer = judged(replace(found, notes=(*notes, *found.notes)), body, checks.plausibility)
    return ContouringResult(
        series=series,
        segmentation=answer.segmentation,
        contract=contract,
        findings=answer.findings,
        remarks=answer.remarks,
        placed=answer.placed,
        left_out=answer.left_out,
    )


def _structure_set(case: DerivedCase, target: ExportTarget, set_stage: SetStage) -> OutputObject:
    set_stage(Stage.EXPORT)
    exported = export(structure_set_request(case, target), roi_masks(case), target.profile)
    set_stage(Stage.WRITE)
    data = write_structure_set(exported.request)
    set_stage(Stage.VALIDATE)
    warnings = validate_structure_set(data, exported, case, target)
    return OutputObject(
        key=f"structure set {target.profile_name}",
        kind=ArtifactKind.STRUCTURE_SET,
        sop_instance_uid=exported.request.sop_instance_uid,
        data=data,
        destinations=target.destinations,
        notes=(*case.applied.notes, *change_notes(exported, target), *warnings),
        standby=target.standby,
        roi_names=dict(
            zip(exported.masks.by_number, (roi.name for roi in exported.request.rois), strict=True)
        ),
    )


def _fallback_sets(
    case: DerivedCase, request: PipelineRequest, set_stage: SetStage
) -> tuple[list[OutputObject], list[str]]:
    """Return the structure sets for fallback destinations, and a note for each that cannot have one."""
    fallbacks, skipped = [], []
    for target in fallback_targets(case.job, request):
        try:
            fallbacks.append(replace(_structure_set(case, target, set_stage), notes=()))
        except (Refused, StructureSetNotWritable) as reason:
            skipped.append(f"no fallback to {', '.join(target.destinations)}: {reason}")
    return fallbacks, skipped

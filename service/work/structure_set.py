"""Steps "export" and "validate": a case's structure set request for one profile, and the check of the written file."""

from collections.abc import Iterator

from imaging.dicom.uids import derived_uid
from imaging.export.masks import Exported, ProfileChange, RoiMask
from imaging.rtstruct.writing import StructureSetRequest
from imaging.validation import Severity, refusal, validate
from service.errors import Refused
from service.work.case import ContouringResult, DerivedCase
from service.work.export_targets import ExportTarget
from service.work.origin import label, origin_notes, predecessor_uid, producer


def structure_set_request(case: DerivedCase, target: ExportTarget) -> StructureSetRequest:
    """Return the structure set's identity, labels and description; the ROIs come from the export."""
    job, contract, profile = case.job, case.contoured.contract, target.profile_name
    job_uid = str(job.uid)
    made = f"UNAPPROVED, for research use. Contoured without a person by {contract.name} version {contract.version}."
    return StructureSetRequest(
        series=case.contoured.series,
        rois=(),
        label=label(job, contract.name),
        description=" ".join([made, *origin_notes(job), *case.contoured.segmentation.notes]),
        sop_instance_uid=derived_uid("structure set", profile, job_uid),
        predecessor_uid=predecessor_uid(job, profile),
        series_instance_uid=derived_uid("structure set series", profile, job_uid),
        created=job.queued_at.astimezone(),
        producer=producer(contract.name, str(contract.version)),
    )


def roi_masks(case: DerivedCase) -> list[RoiMask]:
    """Return the template's structures as ROIs with their masks and descriptions."""
    return [
        RoiMask(
            structure=item.structure,
            name=item.name,
            mask=item.mask,
            number=item.number,
            description="; ".join(
                filter(None, (item.remark, item.description, _certainty(case.contoured, item.model_code)))
            ),
        )
        for item in case.applied.structures
    ]


def _certainty(contoured: ContouringResult, code: str) -> str:
    """Return the model's mean probability in words; empty for a derived structure."""
    mean = contoured.segmentation.mean_probability.get(code)
    return "" if mean is None else f"Mean probability inside: {mean:.2f}"


def change_notes(exported: Exported, target: ExportTarget) -> Iterator[str]:
    """Yield a note for each change that the profile made."""
    return (_change_note(target.profile_name, change) for change in exported.changes)


def _change_note(profile: str, change: ProfileChange) -> str:
    where = f"{change.roi}: " if change.roi else ""
    return f"profile {profile}: {where}{change.what}: {change.before} -> {change.after} ({change.why})"


def validate_structure_set(
    data: bytes, exported: Exported, case: DerivedCase, target: ExportTarget
) -> list[str]:
    """Read the written file back, compare it with its masks, the series and the profile, and return the warnings.

    Raises:
        Refused: the file is not valid; it must not be sent.
    """
    findings = validate(data, target.profile, masks=exported.masks, series=case.contoured.series)
    failed = refusal(findings)
    if failed is not None:
        raise Refused(
            f"the structure set for profile {target.profile_name} did not pass its check and was not sent: {failed}"
        )
    return [
        f"profile {target.profile_name}: {finding.path}: {finding.message}"
        for finding in findings
        if finding.severity is Severity.WARNING
    ]

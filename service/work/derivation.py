"""Step "derive": the rule's template applied to the masks that the model found."""

from collections.abc import Iterable

from imaging.structures import CATALOGUE
from inference.structures import own_structures
from service.errors import Refused
from service.store import ClaimedJob
from service.template import Template
from service.template.apply import apply, with_remarks
from service.work.case import ContouringResult, DerivedCase
from service.work.plausibility import unjudged


def derive_structures(job: ClaimedJob, contoured: ContouringResult, template: Template) -> DerivedCase:
    """Apply the template to the model's masks.

    Raises:
        Refused: the model found none of its structures, or the template needs one that the model does not have.
    """
    contract, masks = contoured.contract, contoured.segmentation.masks
    if not any(mask.voxels() for mask in masks.by_code.values()):
        raise Refused(
            f"the model {contract.name} found none of its structures ({', '.join(contract.labels)}) in this series; "
            "check that the CT shows the region the rule is for"
        )
    applied = apply(template, masks, contoured.series.volume, own_structures(contract))
    return DerivedCase(
        job=job, contoured=contoured, applied=with_remarks(applied, template, contoured.remarks)
    )


def history_notes(case: DerivedCase, template: Template, notes: Iterable[str]) -> tuple[str, ...]:
    """Return the notes for the job's history: those on the series and the model first, each once.

    A structure that was not found, or was left out as implausible, is not reported as empty as well.
    """
    contoured, labels = case.contoured, case.contoured.contract.labels
    every = dict.fromkeys([*contoured.segmentation.notes, *unjudged(contoured.contract), *notes])
    reported = {code for code in labels if f"{code}: not found" in every} | set(contoured.remarks)
    names = [(entry.source, entry.name) for entry in template.structure]
    names += [(code, CATALOGUE[code].name) for code in labels if code in CATALOGUE]
    repeated = {f"{name}: empty" for source, name in names if source in reported}
    return tuple(note for note in every if note not in repeated)

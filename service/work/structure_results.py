"""The job's row for each structure: measurements on its mask, plausibility findings, and whether it is sent."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from imaging.anatomy import edges_touched
from imaging.structures import CATALOGUE
from imaging.volumes.orientation import canonical_masks
from imaging.volumes.volume import Mask, Masks
from inference.judgement import PlausibilityFinding
from inference.structures import own_structures
from inference.trust import TrustCase, measurements, pieces, trust
from service.store import StructureFinding, StructureResult
from service.template import Template
from service.template.apply import OutputStructure
from service.work.case import ContouringResult


@dataclass(frozen=True, kw_only=True)
class MeasuredStructure:
    """A structure's row before an object is written.

    `number` is its ROI number, None if it is not in the template.
    """

    number: int | None
    result: StructureResult


def measured_structures(
    contoured: ContouringResult, structures: Sequence[OutputStructure], template: Template
) -> tuple[MeasuredStructure, ...]:
    """Measure the structures to send, then the model's other structures, which were left out or not found.

    A structure that was left out but that the template sends empty counts among the others: its mask is not sent.
    """
    scores = _trust(contoured)
    sent = [
        MeasuredStructure(
            number=item.number, result=_result(contoured, item.model_code, item.name, item.mask)
        )
        for item in structures
        if item.model_code not in contoured.left_out
    ]
    codes = {one.result.code for one in sent}
    names = _names(contoured, template)
    others = [
        MeasuredStructure(number=None, result=_result(contoured, code, names[code], mask))
        for code, mask in _found(contoured).items()
        if code not in codes
    ]
    return tuple(
        replace(one, result=replace(one.result, trust=scores.get(one.result.code)))
        for one in (*sent, *others)
    )


def as_sent(measured: Sequence[MeasuredStructure], names: Mapping[int, str]) -> tuple[StructureResult, ...]:
    """Return the rows for a structure set with these ROI names by number."""
    return tuple(
        one.result
        if one.number is None or one.number not in names
        else replace(one.result, is_sent=True, name=names[one.number])
        for one in measured
    )


def merged(
    first: Sequence[StructureResult], second: Sequence[StructureResult]
) -> tuple[StructureResult, ...]:
    """Merge the rows of two structure sets of one job: sent if either has it, named as in the first that has it."""
    if not first or not second:
        return tuple(first or second)
    return tuple(a if a.is_sent else b for a, b in zip(first, second, strict=True))


def _found(contoured: ContouringResult) -> Mapping[str, Mask]:
    return {**contoured.segmentation.masks.by_code, **contoured.left_out}


def _names(contoured: ContouringResult, template: Template) -> dict[str, str]:
    """Return the template's name for each of the model's structures, or else the catalogue's."""
    known = {**CATALOGUE, **own_structures(contoured.contract)}
    names = {code: known[code].name if code in known else code for code in contoured.contract.labels}
    return names | {
        entry.source: entry.name
        for entry in template.sent()
        if entry.source is not None and not entry.is_derived
    }


def _result(contoured: ContouringResult, code: str, name: str, mask: Mask) -> StructureResult:
    grid = contoured.series.volume.grid
    upright = canonical_masks(Masks(grid=grid, by_code={code: mask}))
    has_voxels = bool(mask.crop_zyx.any())
    probability = contoured.segmentation.mean_probability.get(code) if has_voxels else None
    return StructureResult(
        code=code,
        name=name,
        is_sent=False,
        volume_cc=mask.voxels() * grid.voxel_volume_mm3 / 1000.0,
        slices=int(upright.by_code[code].crop_zyx.any(axis=(1, 2)).sum()),
        pieces=pieces(mask) if has_voxels else 0,
        mean_probability=None if probability is None else float(probability),
        edges=edges_touched(upright.by_code[code], upright.grid.shape_zyx) if has_voxels else (),
        findings=tuple(_findings(contoured.findings, code)),
        trust=None,
    )


def _findings(findings: Collection[PlausibilityFinding], code: str) -> Iterator[StructureFinding]:
    for finding in findings:
        if finding.structure == code:
            yield StructureFinding(
                check=finding.check,
                measured=_plain(finding.measured),
                expected=tuple(_plain(value) for value in finding.expected),
                relative_to=finding.relative_to,
                is_implausible=finding.is_implausible,
                words=finding.words(),
            )


def _plain(value: float | str) -> float | str:
    """Return a value that JSON can hold: NaN and infinity as text."""
    if isinstance(value, str):
        return value
    return float(value) if isfinite(value) else str(value)


def _trust(contoured: ContouringResult) -> dict[str, float | None]:
    """Return the trust score of each structure that was placed; none if the model has no weights."""
    weights = contoured.contract.trust
    if weights is None:
        return {}
    case = TrustCase(
        masks=_found(contoured),
        placed=contoured.placed,
        findings=contoured.findings,
        mean_probability=contoured.segmentation.mean_probability,
    )
    return {
        code: trust(weights, code, values) for code, values in measurements(contoured.contract, case).items()
    }

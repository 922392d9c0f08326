"""Plausibility: apply the model's limits to one case, as the rule says, so that no implausible contour is sent."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imaging.anatomy import (
    BodyProfile,
    RegionEstimate,
    StructurePlacement,
    body_profile,
    estimate_regions,
    placements,
)
from imaging.ct.series import ImageSeries
from imaging.modality import Modality
from imaging.volumes.orientation import canonical, canonical_masks
from imaging.volumes.volume import Mask, Masks, Volume
from inference.contract import ModelContract
from inference.contract.plausibility import Plausibility
from inference.judgement import PlausibilityFinding, judge, region_finding
from inference.segment import Segmentation
from service.config import Implausible, OtherRegion
from service.errors import Refused

_NO_LIMITS_ON_MR = (
    "region and structures were not checked for plausibility: the limits rest on Hounsfield units"
)
MOST_REASONS = 3  # per structure; the findings have all of them


@dataclass(frozen=True, kw_only=True)
class PlausibilityRule:
    """The rule's action on implausible structures, and on a CT of another body region."""

    implausible: Implausible = Implausible.LEAVE_OUT
    other_region: OtherRegion = OtherRegion.REFUSE


@dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """A CT in canonical orientation, what it shows of the body, and the limits of the model that is to contour it."""

    upright: Volume
    profile: BodyProfile
    regions: RegionEstimate
    limits: Plausibility
    doubt: str = ""  # why the model is not for this CT, if the rule has it contoured anyway


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The part of a model's answer that may be sent, and the findings."""

    segmentation: Segmentation
    findings: tuple[PlausibilityFinding, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)  # on implausible structures, by the model's code
    placed: Mapping[str, StructurePlacement] = field(
        default_factory=dict
    )  # what was judged, by the model's code
    left_out: Mapping[str, Mask] = field(default_factory=dict)


def modality_notes(modality: Modality, contract: ModelContract) -> list[str]:
    """Return caveats on a model's result for this kind of series; Refused if the model does not accept it."""
    if contract.takes(modality):
        return [f"MR: {_NO_LIMITS_ON_MR}"] if modality is Modality.MR and contract.plausibility else []
    if modality is Modality.CBCT and contract.takes(Modality.CT):
        return [
            f"CONE-BEAM CT: the model {contract.name} is for CT; its figures do not hold for these images"
        ]
    taken = ", ".join(dict.fromkeys(accepted.modality for accepted in contract.inputs))
    raise Refused(f"the series is {modality}, and the model {contract.name} takes {taken}; change the rule")


def body_of_case(series: ImageSeries, contract: ModelContract, rule: PlausibilityRule) -> Body | None:
    """Check that a CT shows the body region that a model is for; None for a model without limits, and for MR.

    Raises Refused if it does not, unless the rule asks only for a note.
    """
    if contract.plausibility is None or series.modality is Modality.MR:
        return None
    upright = canonical(series.volume)
    profile = body_profile(upright)
    regions = estimate_regions(profile)
    doubt = region_finding(contract.plausibility, regions)
    if doubt and rule.other_region is OtherRegion.REFUSE:
        raise Refused(
            f"the model {contract.name} is not for this CT: {doubt}. Send what the model is for, or set "
            '`other_region = "flag"` in the rule'
        )
    return Body(
        upright=upright, profile=profile, regions=regions, limits=contract.plausibility, doubt=doubt or ""
    )


def judged(segmentation: Segmentation, body: Body | None, rule: PlausibilityRule) -> Judged:
    """Judge every structure found, and leave out implausible ones if the rule says so.

    Raises Refused if the rule says so, and if most structures are implausible: the others cannot be trusted then, as in
    a CT that is turned round.
    """
    if body is None:
        return Judged(segmentation=segmentation)
    upright = canonical_masks(segmentation.masks)
    placed = placements(upright.by_code, body.upright, body.profile, body.regions)
    findings = judge(body.limits, placed)
    reasons = _reasons(findings)
    leaves_out = rule.implausible is Implausible.LEAVE_OUT
    if reasons and (
        rule.implausible is Implausible.REFUSE or (leaves_out and 2 * len(reasons) > len(placed))
    ):
        found = "; ".join(f"{code}: {reason}" for code, reason in reasons.items())
        raise Refused(
            f"implausible structures, nothing was sent: {found}. Check that the CT shows the region the rule is for"
        )
    remarks = {
        code: f"{'LEFT OUT, ' if leaves_out else ''}IMPLAUSIBLE: {text}" for code, text in reasons.items()
    }
    notes = tuple(_notes(body, findings, remarks, segmentation.notes))
    left_out = {code: segmentation.masks.by_code[code] for code in reasons} if leaves_out else {}
    masks = _without(segmentation.masks, left_out)
    return Judged(
        segmentation=replace(segmentation, masks=masks, notes=notes),
        findings=findings,
        remarks=remarks,
        placed=placed,
        left_out=left_out,
    )


def unjudged(contract: ModelContract) -> tuple[str, ...]:
    """Return the note for the job's history if a model states no limits."""
    if contract.plausibility is not None:
        return ()
    return (
        f"the model {contract.name} version {contract.version} states no limits: nothing was checked for plausibility",
    )


def _reasons(findings: Sequence[PlausibilityFinding]) -> dict[str, str]:
    """Return why each implausible structure is implausible, by its code."""
    by_code: dict[str, list[str]] = {}
    for finding in findings:
        if finding.is_implausible:
            by_code.setdefault(finding.structure, []).append(finding.words())
    return {code: ", ".join(words[:MOST_REASONS]) for code, words in by_code.items()}


def _without(masks: Masks, codes: Collection[str]) -> Masks:
    kept = {code: Mask.empty() if code in codes else mask for code, mask in masks.by_code.items()}
    return replace(masks, by_code=kept)


def _notes(
    body: Body,
    findings: Sequence[PlausibilityFinding],
    remarks: Mapping[str, str],
    of_the_model: Sequence[str],
) -> Iterator[str]:
    """Yield the notes for structure set, report and history, the gravest first."""
    if body.doubt:
        yield f"NOT THE MODEL'S REGION: {body.doubt}"
    for code, remark in remarks.items():
        yield f"{code}: {remark}"
    yield from (note for note in of_the_model if note.split(":")[0] not in remarks)
    for finding in findings:
        if not finding.is_implausible and finding.structure not in remarks and _is_news(finding):
            yield f"{finding.structure}: {finding.words()}"


def _is_news(finding: PlausibilityFinding) -> bool:
    """Tell whether the model's own notes, which cover the first and last slice, do not already say it."""
    sides = ("anterior", "posterior", "right", "left")
    return finding.check != "edge" or any(side in str(finding.measured) for side in sides)

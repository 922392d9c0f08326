"""How the dose of one plan differs between two sets of contours (SOARS, eqs. 6 and 7).

Compared are mean and maximum dose.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evaluation.contour_set import ContourSet
from evaluation.dvh import DoseValues, Dvh, dose_values, dose_volume
from evaluation.errors import EvaluationRefused
from evaluation.samples import Polygons, Samples, sample
from evaluation.set_comparison import SetComparison
from imaging.contours.exact import contours
from imaging.dose import Dose

DIFFERENCES = tuple(
    f"{what}_dose_difference_{how}"
    for what in ("mean", "max")
    for how in ("percent", "absolute_percent", "gy", "absolute_gy")
)


@dataclass(frozen=True, kw_only=True, eq=False)
class DoseComparison:
    """A structure's DVH by both sets, the values read from each, the differences, and why any is lacking."""

    found: Dvh
    reference: Dvh
    values: DoseValues
    reference_values: DoseValues
    differences: DoseValues


def compare_doses(
    compared: SetComparison, dose: Dose, at_gy: tuple[float, ...] = ()
) -> Mapping[str, DoseComparison]:
    """Compare every structure that two sets share, under one dose.

    Raises EvaluationRefused where a set lies in another frame of reference than the dose.
    """
    for one in (compared.found, compared.reference):
        frames = one.frame_of_reference_uid, dose.frame_of_reference_uid
        if all(frames) and frames[0] != frames[1]:
            raise EvaluationRefused(
                f"{one.label} lies in frame of reference {frames[0]}, the dose in {frames[1]} (0020,0052)"
            )
    result: dict[str, DoseComparison] = {}
    for name, (ours, theirs) in compared.names.items():
        dvhs = [
            structure_dvh(one, own, dose)
            for one, own in ((compared.found, ours), (compared.reference, theirs))
        ]
        values = [dose_values(dvh, at_gy=at_gy) for dvh in dvhs]
        result[name] = DoseComparison(
            found=dvhs[0],
            reference=dvhs[1],
            values=values[0],
            reference_values=values[1],
            differences=differences(*values),
        )
    return result


def structure_dvh(contour_set: ContourSet, name: str, dose: Dose) -> Dvh:
    """Return the DVH of a structure, with a refusal where its contours enclose no defined volume."""
    try:
        samples = structure_samples(contour_set, name)
    except EvaluationRefused as reason:
        return Dvh(doses_gy=np.zeros(0), volume_cm3=0.0, refusal=str(reason))
    return dose_volume(samples, dose)


def structure_samples(contour_set: ContourSet, name: str) -> Samples:
    """Return the samples of a structure: from its polygons where the set has them, else from its voxels' outlines."""
    return sample(name, _polygons(contour_set, name), contour_set.grid)


def differences(found: DoseValues, reference: DoseValues) -> DoseValues:
    """Return the differences of mean and maximum dose from the reference's, in Gy and % of it, signed and absolute."""
    values: dict[str, float | None] = dict.fromkeys(DIFFERENCES)
    reasons: dict[str, str] = {}
    for what in ("mean", "max"):
        ours, theirs = found.values[f"{what}_gy"], reference.values[f"{what}_gy"]
        names = [name for name in DIFFERENCES if name.startswith(what)]
        if ours is None or theirs is None:
            own, other = found.reasons.get(f"{what}_gy"), reference.reasons.get(f"{what}_gy")
            words = f"reference: {other}" if ours is not None else own or ""
            reasons |= dict.fromkeys(names, words)
            continue
        values[f"{what}_dose_difference_gy"] = ours - theirs
        values[f"{what}_dose_difference_absolute_gy"] = abs(ours - theirs)
        if theirs > 0:
            percent = 100.0 * (ours - theirs) / theirs
            values[f"{what}_dose_difference_percent"] = percent
            values[f"{what}_dose_difference_absolute_percent"] = abs(percent)
        else:
            relative = [name for name in names if name.endswith("percent")]
            reasons |= dict.fromkeys(relative, f"the reference's {what} dose is 0 Gy")
    return DoseValues(values=values, reasons=reasons)


def _polygons(contour_set: ContourSet, name: str) -> Polygons:
    if contour_set.structure_set is not None:
        return [
            contour.points_lps
            for roi in contour_set.structure_set.rois
            if (roi.name or f"ROI {roi.number}") == name
            for contour in roi.closed
        ]
    return [polygon.points_lps for polygon in contours(contour_set.masks[name], contour_set.grid)]

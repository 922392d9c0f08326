"""The trust score, 0..1: how far a structure can be trusted without a reference, from measurements made in any case.

The score estimates the probability that the structure's Dice with a clinician's contour would reach `good_dice`. It
is a logistic function of a few measurements, learned from patients that the model never saw (`evaluation.trust`), and
it knows no more than those: a wrong contour of usual size in a usual place passes it. It orders what a person reviews
first; it never replaces the review.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from scipy import ndimage

from imaging.anatomy import StructurePlacement
from imaging.volumes.volume import Mask
from inference.contract import ModelContract
from inference.contract.plausibility import StructureLimits
from inference.contract.trust import TrustWeights
from inference.judgement import PlausibilityFinding

EXTENT = ("height_mm", "width_mm", "depth_mm")
PLACE = ("across", "deep", "body_cm2")
_FURTHEST = 3.0  # beyond three half ranges of the limits, more distance means nothing more
_LEAST_VOLUME_CC = 0.01


@dataclass(frozen=True, kw_only=True)
class TrustCase:
    """What is known about a case's structures: masks and placements by code, findings, mean probabilities."""

    masks: Mapping[str, Mask]
    placed: Mapping[str, StructurePlacement]
    findings: Sequence[PlausibilityFinding]
    mean_probability: Mapping[str, float]


def measurements(contract: ModelContract, case: TrustCase) -> dict[str, dict[str, float]]:
    """Measure every structure that has voxels: all of `FEATURES` but the last, by code.

    Volume: signed log of its ratio to the geometric middle of the model's limits, within ±log 10. Extent and place: the
    largest distance from the middle of the limits, in half ranges, at most 3. Density: the same of the median HU.
    Improbability: 1 minus the mean probability inside. Cut: 1 where it touches the edge of the field. Findings: how
    many plausibility checks did not pass. Asymmetry: |log| of the volume's ratio to the other side's; 0 without a
    structure on the other side, and at most log 10. Pieces: connected pieces beyond the first, at most 3.
    """
    other_side = {a: b for pair in contract.left_right_pairs for a, b in (pair, pair[::-1])}
    found: dict[str, dict[str, float]] = {}
    for code, where in case.placed.items():
        limits = contract.plausibility.of(code) if contract.plausibility else None
        own = [finding for finding in case.findings if finding.structure == code]
        found[code] = {
            "volume": _log_volume(where, limits),
            "extent": _strain(where, limits, EXTENT),
            "place": _strain(where, limits, PLACE),
            "density": _strain(where, limits, ("median_hu",)),
            "improbability": 1.0 - case.mean_probability.get(code, 0.0),
            "cut": float(bool(where.edges)),
            "findings": float(sum(finding.check != "edge" for finding in own)),
            "asymmetry": _asymmetry(where, case.placed.get(other_side.get(code, ""))),
            "pieces": float(min(3, pieces(case.masks[code]) - 1)),
        }
    return found


def trust(weights: TrustWeights, code: str, measured: Mapping[str, float]) -> float | None:
    """Return the score of a structure, 0..1; None for a structure that the score was not learned for."""
    if code not in weights.usual_dice:
        return None
    values = {**measured, "usual": weights.usual_dice[code]}
    total = weights.intercept + sum(
        weight * (values[name] - weights.means[name]) / weights.scales[name]
        for name, weight in weights.weights.items()
    )
    return 1.0 / (1.0 + exp(-total))


def _log_volume(where: StructurePlacement, limits: StructureLimits | None) -> float:
    if limits is None:
        return 0.0
    low, high = (max(value, _LEAST_VOLUME_CC) for value in limits.volume_cc)
    ratio = log(max(where.volume_cc, _LEAST_VOLUME_CC)) - (log(low) + log(high)) / 2
    return min(log(10.0), max(-log(10.0), ratio))


def _strain(where: StructurePlacement, limits: StructureLimits | None, names: Sequence[str]) -> float:
    """Return the distance of the worst of some values from the middle of its limits, in half ranges.

    Values reduced by the edge of the scan count too.
    """
    if limits is None:
        return _FURTHEST
    strains = []
    for name in names:
        low, high = getattr(limits, name)
        half = max((high - low) / 2, 1e-9)
        strains.append(abs(getattr(where, name) - (low + high) / 2) / half)
    return float(min(_FURTHEST, max(strains)))


def _asymmetry(where: StructurePlacement, other: StructurePlacement | None) -> float:
    if other is None:
        return 0.0
    ratio = max(where.volume_cc, _LEAST_VOLUME_CC) / max(other.volume_cc, _LEAST_VOLUME_CC)
    return min(log(10.0), abs(log(ratio)))


def pieces(mask: Mask) -> int:
    """Count the connected pieces of a mask; voxels that share a corner are connected."""
    return int(ndimage.label(mask.crop_zyx, np.ones((3, 3, 3)))[1])

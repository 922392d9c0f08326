"""The trust score: learned from patients with reference contours, and how well it separates good and bad structures.

Every figure comes from patients left out: a patient's score is learned without that patient, including what is usual
for a structure. With few patients and few bad structures the intervals are wide; they are part of the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import spearmanr

from evaluation.errors import EvaluationRefused
from inference.contract.trust import FEATURES, TrustWeights
from inference.trust import trust

RIDGE = 3.0
FEWEST_PATIENTS, FEWEST_BAD = 5, 5
RESAMPLES = 1000
BINS = 5
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One structure of one patient: what was measured without the reference, and the Dice with it."""

    patient: str
    code: str
    measured: dict[str, float]
    dice: float


@dataclass(frozen=True, kw_only=True)
class TrustQuality:
    """How the score performed on patients left out.

    It holds each instance's score, ROC, calibration, and the AUC of knowing the structure alone.
    """

    instances: tuple[Instance, ...]
    scores: tuple[float, ...]
    good: tuple[bool, ...]
    auc: float
    auc_low: float
    auc_high: float
    auc_structure_alone: float
    brier: float
    brier_constant: float
    rank_correlation: float
    roc: tuple[tuple[float, ...], tuple[float, ...]]
    calibration: tuple[tuple[float, float, int], ...]


def learn(instances: Sequence[Instance], good_dice: float, learned_from: str) -> TrustWeights:
    """Fit a ridge-regularised logistic regression on standardised measurements.

    Raises EvaluationRefused for too few patients, or too few good or bad structures.
    """
    good = np.array([instance.dice >= good_dice for instance in instances], bool)
    patients = {instance.patient for instance in instances}
    if len(patients) < FEWEST_PATIENTS or min(good.sum(), (~good).sum()) < FEWEST_BAD:
        raise EvaluationRefused(
            f"{len(patients)} patients with {int((~good).sum())} structures under and {int(good.sum())} over a Dice of "
            f"{good_dice:g}; learning needs {FEWEST_PATIENTS} patients and {FEWEST_BAD} of each"
        )
    usual = {
        code: float(np.mean([i.dice for i in instances if i.code == code]))
        for code in sorted({i.code for i in instances})
    }
    table = np.array([[{**i.measured, "usual": usual[i.code]}[name] for name in FEATURES] for i in instances])
    means, scales = table.mean(axis=0), table.std(axis=0)
    scales[np.ptp(table, axis=0) == 0] = 1.0  # rounding leaves a spread even where all are equal
    intercept, weights = _fit((table - means) / scales, good)
    return TrustWeights(
        learned_from=learned_from,
        good_dice=good_dice,
        intercept=intercept,
        means=_named(means),
        scales=_named(scales),
        weights=_named(weights),
        usual_dice=usual,
    )


def assess(instances: Sequence[Instance], good_dice: float) -> TrustQuality:
    """Score every patient with what was learned from the others, and assess that; EvaluationRefused as in `learn`."""
    kept: list[Instance] = []
    scores: list[float] = []
    alone: list[float] = []
    for patient in sorted({instance.patient for instance in instances}):
        weights = learn([i for i in instances if i.patient != patient], good_dice, "others")
        for instance in instances:
            if instance.patient != patient:
                continue
            score = trust(weights, instance.code, instance.measured)
            if score is not None:
                kept.append(instance)
                scores.append(score)
                alone.append(weights.usual_dice[instance.code])
    good = np.array([i.dice >= good_dice for i in kept])
    given = np.array(scores)
    low, high = _auc_interval(given, good, [i.patient for i in kept])
    return TrustQuality(
        instances=tuple(kept),
        scores=tuple(scores),
        good=tuple(bool(g) for g in good),
        auc=auc(given, good),
        auc_low=low,
        auc_high=high,
        auc_structure_alone=auc(np.array(alone), good),
        brier=float(np.mean((given - good) ** 2)),
        brier_constant=float(np.mean((good.mean() - good) ** 2)),
        rank_correlation=float(spearmanr(given, [i.dice for i in kept])[0]),
        roc=_roc(given, good),
        calibration=_calibration(given, good),
    )


def auc(scores: Array, good: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the probability that a good structure scores above a bad one, ties half."""
    above = scores[good][:, None] - scores[~good][None]
    return float(np.mean((above > 0) + 0.5 * (above == 0)))


def _fit(table: Array, good: NDArray[np.bool_]) -> tuple[float, Array]:
    sign = np.where(good, 1.0, -1.0)

    def loss(parameters: Array) -> float:
        margin = sign * (parameters[0] + table @ parameters[1:])
        return float(np.logaddexp(0.0, -margin).sum() + RIDGE * (parameters[1:] ** 2).sum() / 2)

    found = minimize(loss, np.zeros(table.shape[1] + 1), method="BFGS").x
    return float(found[0]), np.asarray(found[1:], np.float64)


def _named(values: Array) -> dict[str, float]:
    return {name: float(value) for name, value in zip(FEATURES, values, strict=True)}


def _auc_interval(scores: Array, good: NDArray[np.bool_], patients: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % interval by resampling patients, not instances: structures of one patient go wrong together."""
    rng = np.random.default_rng(0)
    names = sorted(set(patients))
    places = {name: np.flatnonzero(np.array(patients) == name) for name in names}
    found = []
    for _ in range(RESAMPLES):
        chosen = np.concatenate([places[name] for name in rng.choice(names, len(names))])
        if 0 < good[chosen].sum() < len(chosen):
            found.append(auc(scores[chosen], good[chosen]))
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)


def _roc(scores: Array, good: NDArray[np.bool_]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the shares of good and of bad structures that are flagged as the score's threshold rises."""
    levels = np.concatenate([[-np.inf], np.unique(scores), [np.inf]])
    false_alarms = tuple(float((scores[good] < level).mean()) for level in levels)
    caught = tuple(float((scores[~good] < level).mean()) for level in levels)
    return false_alarms, caught


def _calibration(scores: Array, good: NDArray[np.bool_]) -> tuple[tuple[float, float, int], ...]:
    """Return mean score, share of good structures, and number, in groups of equal size by score."""
    groups = np.array_split(np.argsort(scores, kind="stable"), min(BINS, len(scores)))
    return tuple((float(scores[g].mean()), float(good[g].mean()), len(g)) for g in groups)

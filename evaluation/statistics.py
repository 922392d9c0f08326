"""Tests, effect sizes and intervals for metrics of many patients, by scipy and statsmodels.

Two samples are either paired (the same patients or instances in the same order) or independent. No value is dropped:
values that are not numbers are refused, and callers decide what a missing structure means. Small samples get a note.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

Array = NDArray[np.float64]
SMALL = 6  # an exact two-sided Wilcoxon test of 5 pairs cannot reach 0.05
FEW = 20
SMALL_SAMPLES = "Too few: no rank test of fewer than 6 pairs can reach 0.05. Small sample (under 20): differences that matter may not show."
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A sample's summary statistics; spread and interval are None for a single value."""

    n: int
    mean: float
    sd: float | None
    median: float
    q1: float
    q3: float
    minimum: float
    maximum: float
    mean_low: float | None
    mean_high: float | None


@dataclass(frozen=True, kw_only=True)
class SampleTest:
    """A test of two samples: its statistic, two-sided p, named effect size, and a note."""

    name: str
    n: int
    statistic: float | None
    p: float | None
    effect_name: str
    effect: float | None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Bland-Altman: mean difference and the limits within which 95 % of differences lie, each with its interval."""

    n: int
    bias: float
    bias_low: float
    bias_high: float
    lower: float
    upper: float
    limits_half_width: float


@dataclass(frozen=True, kw_only=True)
class NonInferiority:
    """Whether a set is worse than another by less than a margin: the one-sided bound of the mean paired difference."""

    n: int
    margin: float
    difference: float
    bound: float
    shown: bool
    note: str = ""


def summary(values: Sequence[float], seed: int = 0) -> Summary:
    """Return mean, sample SD, quartiles, range and bootstrap interval of the mean; ValueError for no values."""
    array = _numbers(values)
    low, high = bootstrap_mean(array, seed) if len(array) > 1 else (None, None)
    q1, median, q3 = (float(v) for v in np.percentile(array, (25, 50, 75)))
    return Summary(
        n=len(array),
        mean=float(array.mean()),
        sd=float(array.std(ddof=1)) if len(array) > 1 else None,
        median=median,
        q1=q1,
        q3=q3,
        minimum=float(array.min()),
        maximum=float(array.max()),
        mean_low=low,
        mean_high=high,
    )


def bootstrap_mean(values: Sequence[float] | Array, seed: int = 0) -> tuple[float, float]:
    """Return the bias-corrected and accelerated (BCa) 95 % interval of the mean (Efron 1987), from 2000 resamples.

    Where all values are equal, both ends are that value.
    """
    array = _numbers(values)
    if len(array) < 2:
        raise ValueError("an interval needs two values or more")
    if np.ptp(array) == 0:
        return float(array[0]), float(array[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (array,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    if not np.isfinite([found.low, found.high]).all():
        return float(array.min()), float(array.max())
    return float(found.low), float(found.high)


def paired_wilcoxon(first: Sequence[float], second: Sequence[float]) -> SampleTest:
    """Do Wilcoxon's signed-rank test, two-sided; effect: rank-biserial correlation, 1 where first is always larger.

    Exact for up to 50 pairs without ties or zeros, else a normal approximation. Pairs without a difference are dropped
    (Wilcoxon).
    """
    one, two = _pairs(first, second)
    difference = one - two
    name, effect_name = "Wilcoxon signed-rank", "rank-biserial correlation"
    if not difference.any():
        note = "all pairs are equal"
        return SampleTest(
            name=name, n=len(one), statistic=None, p=None, effect_name=effect_name, effect=None, note=note
        )
    moved = difference[difference != 0]
    found = stats.wilcoxon(moved)
    ranks = stats.rankdata(np.abs(moved))
    effect = float((ranks * np.sign(moved)).sum() / ranks.sum())
    return SampleTest(
        name=name,
        n=len(one),
        statistic=float(found.statistic),
        p=float(found.pvalue),
        effect_name=effect_name,
        effect=effect,
        note=small_note(len(moved)),
    )


def paired_t(first: Sequence[float], second: Sequence[float]) -> SampleTest:
    """Do Student's t test of the paired differences, two-sided; effect: Cohen's d of the differences (mean over SD)."""
    one, two = _pairs(first, second)
    difference = one - two
    name, effect_name = "paired t", "Cohen's d of differences"
    if len(one) < 2 or np.ptp(difference) == 0:
        note = "all differences are equal" if len(one) > 1 else "one pair"
        return SampleTest(
            name=name, n=len(one), statistic=None, p=None, effect_name=effect_name, effect=None, note=note
        )
    found = stats.ttest_rel(one, two)
    return SampleTest(
        name=name,
        n=len(one),
        statistic=float(found.statistic),
        p=float(found.pvalue),
        effect_name=effect_name,
        effect=float(difference.mean() / difference.std(ddof=1)),
        note=small_note(len(one)),
    )


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> SampleTest:
    """Do the Mann-Whitney U test of independent samples, two-sided; effect: Cliff's delta, 1 where first is larger."""
    one, two = _numbers(first), _numbers(second)
    found = stats.mannwhitneyu(one, two)
    return SampleTest(
        name="Mann-Whitney U",
        n=len(one) + len(two),
        statistic=float(found.statistic),
        p=float(found.pvalue),
        effect_name="Cliff's delta",
        effect=float(2.0 * found.statistic / (len(one) * len(two)) - 1.0),
        note=small_note(min(len(one), len(two))),
    )


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return Holm's adjusted p values in the given order; None stays None and does not count as a test."""
    known = [p for p in ps if p is not None]
    if not known:
        return list(ps)
    adjusted = iter(multipletests(known, method="holm")[1].tolist())
    return [None if p is None else float(next(adjusted)) for p in ps]


def bland_altman(first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Return the agreement of two measurements of the same things (Bland and Altman 1986), first minus second.

    Raises ValueError for fewer than two pairs.
    """
    one, two = _pairs(first, second)
    if len(one) < 2:
        raise ValueError("limits of agreement need two pairs or more")
    difference = one - two
    n, bias, sd = len(difference), float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1))
    half = t * sd / np.sqrt(n)
    return Agreement(
        n=n,
        bias=bias,
        bias_low=bias - half,
        bias_high=bias + half,
        lower=bias - 1.96 * sd,
        upper=bias + 1.96 * sd,
        limits_half_width=float(t * sd * np.sqrt(3.0 / n)),
    )


def non_inferiority(
    first: Sequence[float], second: Sequence[float], margin: float, better: int
) -> NonInferiority:
    """Test whether `first` is worse than `second` by less than `margin` on average, at a one-sided level of 2.5 %.

    `better` is +1 where more is better, -1 where less is. The bound is that of the t interval of the paired
    differences, signed so that positive is better; shown where it lies above -margin. ValueError for fewer than two
    pairs.
    """
    one, two = _pairs(first, second)
    if margin <= 0 or better not in (1, -1):
        raise ValueError(f"expected a positive margin and a direction of 1 or -1, not {margin} and {better}")
    if len(one) < 2:
        raise ValueError("non-inferiority needs two pairs or more")
    difference = better * (one - two)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(one) - 1) * difference.std(ddof=1) / np.sqrt(len(one)))
    bound = float(difference.mean()) - half
    return NonInferiority(
        n=len(one),
        margin=margin,
        difference=float(difference.mean()),
        bound=bound,
        shown=bound > -margin,
        note=small_note(len(one)),
    )


def small_note(n: int) -> str:
    """Return a note for a test of so few values ("" for enough); `SMALL_SAMPLES` explains it."""
    if n < SMALL:
        return f"n = {n}: too few"
    return f"n = {n}: small sample" if n < FEW else ""


def _pairs(first: Sequence[float], second: Sequence[float]) -> tuple[Array, Array]:
    one, two = _numbers(first), _numbers(second)
    if len(one) != len(two):
        raise ValueError(f"pairs of {len(one)} and {len(two)} values")
    return one, two


def _numbers(values: Sequence[float] | Array) -> Array:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError("a sample needs at least one value")
    if not np.isfinite(array).all():
        raise ValueError("a sample has a value that is not a number; decide first what it means")
    return array

"""Values worked out by hand or taken from published examples."""

import numpy as np
import pytest

from evaluation.statistics import (
    bland_altman,
    bootstrap_mean,
    holm,
    mann_whitney,
    non_inferiority,
    paired_t,
    paired_wilcoxon,
    small_note,
    summary,
)


def test_wilcoxon_of_eight_pairs_by_hand() -> None:
    """Differences 1 .. 8, the 2 negative: W- = 2, and 3 of 256 sign patterns have W- of 2 or less: p = 2 x 3 / 256."""
    second = np.zeros(8)
    first = np.array([1.0, -2, 3, 4, 5, 6, 7, 8])
    found = paired_wilcoxon(first, second)
    assert found.statistic == 2
    assert found.p == pytest.approx(2 * 3 / 256)
    assert found.effect == pytest.approx((36 - 2 * 2) / 36)
    assert "small sample" in found.note


def test_five_pairs_cannot_show_a_difference() -> None:
    found = paired_wilcoxon([1, 2, 3, 4, 5], [0, 0, 0, 0, 0])
    assert found.p == pytest.approx(2 / 32)
    assert found.note == "n = 5: too few"


def test_pairs_without_a_difference() -> None:
    same = paired_wilcoxon([0.8, 0.9], [0.8, 0.9])
    assert (same.p, same.effect, same.note) == (None, None, "all pairs are equal")
    found = paired_wilcoxon([1, 2, 3, 9], [1, 2, 3, 4])
    assert (found.n, found.effect, found.note) == (4, 1.0, "n = 1: too few")


def test_mann_whitney_by_hand() -> None:
    """{1, 2, 3} against {4, 5, 6}: 1 of 20 arrangements either way."""
    found = mann_whitney([1, 2, 3], [4, 5, 6])
    assert found.p == pytest.approx(2 / 20)
    assert found.effect == -1.0
    assert mann_whitney([1, 4], [2, 3]).effect == 0.0
    uneven = mann_whitney([1.0] * 5, np.arange(2.0, 30.0).tolist())
    assert (uneven.n, uneven.effect, uneven.note) == (33, -1.0, "n = 5: too few"), "the smaller sample counts"


def test_paired_t_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 / (1 / sqrt 3); p of t = 3.4641 with 2 degrees of freedom."""
    found = paired_t([1, 2, 3], [0, 0, 0])
    assert found.statistic == pytest.approx(2 * np.sqrt(3))
    assert found.p == pytest.approx(0.07418, abs=1e-5)
    assert found.effect == pytest.approx(2.0)
    level, one = paired_t([1, 2], [0, 1]), paired_t([2], [1])
    assert (level.p, level.effect, level.note) == (None, None, "all differences are equal")
    assert (one.p, one.effect, one.note, one.n) == (None, None, "one pair", 1)
    assert paired_t([1, 3], [0, 1]).p is not None


def test_holm() -> None:
    """0.01 x 4, 0.03 x 3 (0.02 x 3 = 0.06 first), 0.04: never below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.04, None, 0.01]) == [pytest.approx(0.04), None, pytest.approx(0.02)]
    assert holm([None]) == [None]


def test_bland_altman_by_hand() -> None:
    """Differences 1, 2, 3, 4: mean 2.5, SD 1.29099; t(3) = 3.18245."""
    found = bland_altman([1, 2, 3, 4], [0, 0, 0, 0])
    assert found.bias == 2.5
    assert (found.lower, found.upper) == pytest.approx(
        (2.5 - 1.96 * 1.290994, 2.5 + 1.96 * 1.290994), abs=1e-5
    )
    assert (found.bias_low, found.bias_high) == pytest.approx(
        (2.5 - 3.182446 * 1.290994 / 2, 2.5 + 3.182446 * 1.290994 / 2), abs=1e-5
    )
    assert found.limits_half_width == pytest.approx(3.182446 * 1.290994 * np.sqrt(3 / 4))


def test_non_inferiority() -> None:
    """Mean difference -0.01, SD 0.01 of 4: bound -0.01 - 3.18245 x 0.005."""
    first, second = [0.79, 0.80, 0.78, 0.79], [0.80, 0.80, 0.80, 0.80]
    sd = np.std([-0.01, 0.0, -0.02, -0.01], ddof=1)
    bound = -0.01 - 3.182446 * sd / 2
    assert non_inferiority(first, second, 0.05, 1).bound == pytest.approx(bound)
    assert non_inferiority(first, second, 0.05, 1).shown
    assert not non_inferiority(first, second, 0.02, 1).shown
    assert non_inferiority(first, second, 0.005, -1).shown, "where less is better, first is better"
    for margin, better in ((0.0, 1), (0.1, 0), (0.1, 2)):
        with pytest.raises(ValueError, match="positive margin"):
            non_inferiority(first, second, margin, better)
    level = non_inferiority([0.5, 0.5], [1.0, 1.0], 0.5, 1)
    assert (level.difference, level.bound, level.shown) == (-0.5, -0.5, False), "by less than the margin"
    assert level.note == "n = 2: too few"


def test_samples_that_are_too_small_or_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="an interval needs two values or more"):
        bootstrap_mean([1.0])
    with pytest.raises(ValueError, match="limits of agreement need two pairs or more"):
        bland_altman([1.0], [2.0])
    with pytest.raises(ValueError, match="non-inferiority needs two pairs or more"):
        non_inferiority([1.0], [2.0], 0.1, 1)
    for test in (paired_t, paired_wilcoxon, bland_altman):
        with pytest.raises(ValueError, match="pairs of 3 and 2 values"):
            test([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="a sample needs at least one value"):
        bootstrap_mean(np.ones((2, 2)))
    assert bland_altman([1.0, 2.0], [0.0, 0.0]).n == non_inferiority([1.0, 2.0], [0.0, 0.0], 1, 1).n == 2


def test_a_bootstrap_interval_covers_the_mean_in_19_of_20_samples() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(60):
        low, high = bootstrap_mean(rng.normal(5, 2, 40), seed)
        covered += low <= 5 <= high
    assert 52 <= covered <= 60
    assert bootstrap_mean([3.0, 3.0, 3.0]) == (3.0, 3.0)
    low, high = bootstrap_mean(list(range(20)), 1)
    assert 5 < low < 9.5 - 2 < 9.5 + 2 < high < 14, "about 9.5 +- 1.96 x 5.9 / sqrt 20"


def test_a_summary() -> None:
    found = summary([0.7, 0.8, 0.9])
    assert (found.n, found.mean, found.sd, found.median) == (3, pytest.approx(0.8), pytest.approx(0.1), 0.8)
    assert found.mean_low is not None
    assert 0.7 - 1e-9 <= found.mean_low < found.mean
    spread = summary([4.0, 1.0, 2.0, 3.0, 10.0])
    assert (spread.minimum, spread.q1, spread.median, spread.q3, spread.maximum) == (1, 2, 3, 4, 10)
    one = summary([0.7])
    assert (one.n, one.mean, one.sd, one.mean_low, one.mean_high) == (1, 0.7, None, None, None)


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [float("inf")]])
def test_what_is_no_sample(values: list[float]) -> None:
    with pytest.raises(ValueError, match="a sample"):
        summary(values)


def test_notes_on_small_samples() -> None:
    assert small_note(5).startswith("n = 5: too few")
    assert small_note(6).startswith("n = 6: small sample")
    assert small_note(19).startswith("n = 19: small sample")
    assert small_note(20) == ""

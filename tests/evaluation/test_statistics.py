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
    assert paired_wilcoxon([1, 2, 3, 9], [1, 2, 3, 4]).n == 4


def test_mann_whitney_by_hand() -> None:
    """{1, 2, 3} against {4, 5, 6}: 1 of 20 arrangements either way."""
    found = mann_whitney([1, 2, 3], [4, 5, 6])
    assert found.p == pytest.approx(2 / 20)
    assert found.effect == -1.0
    assert mann_whitney([1, 4], [2, 3]).effect == 0.0


def test_paired_t_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 / (1 / sqrt 3); p of t = 3.4641 with 2 degrees of freedom."""
    found = paired_t([1, 2, 3], [0, 0, 0])
    assert found.statistic == pytest.approx(2 * np.sqrt(3))
    assert found.p == pytest.approx(0.07418, abs=1e-5)
    assert found.effect == pytest.approx(2.0)
    assert paired_t([1, 2], [0, 1]).p is None


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
    assert found.bias_high == pytest.approx(2.5 + 3.182446 * 1.290994 / 2)
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
    with pytest.raises(ValueError, match="positive margin"):
        non_inferiority(first, second, 0.0, 1)


def test_a_bootstrap_interval_covers_the_mean_in_19_of_20_samples() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for seed in range(60):
        low, high = bootstrap_mean(rng.normal(5, 2, 40), seed)
        covered += low <= 5 <= high
    assert 52 <= covered <= 60
    assert bootstrap_mean([3.0, 3.0, 3.0]) == (3.0, 3.0)


def test_a_summary() -> None:
    found = summary([0.7, 0.8, 0.9])
    assert (found.n, found.mean, found.sd, found.median) == (3, pytest.approx(0.8), pytest.approx(0.1), 0.8)
    assert found.mean_low is not None
    assert 0.7 - 1e-9 <= found.mean_low < found.mean
    assert summary([0.7]).sd is None


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [float("inf")]])
def test_what_is_no_sample(values: list[float]) -> None:
    with pytest.raises(ValueError, match="a sample"):
        summary(values)


def test_notes_on_small_samples() -> None:
    assert small_note(5).startswith("n = 5: too few")
    assert small_note(19).startswith("n = 19: small sample")
    assert small_note(20) == ""

"""Limits learned from values whose quantiles are known."""

import numpy as np
import pytest

from evaluation.plausible_limits import MARGIN_OF_PLACES, MARGIN_OF_SIZES, Sample, learn, limits_of
from imaging.anatomy import Region, RegionEstimate
from inference.judgement import judge
from tests.inference.limits import placement

ESTIMATE = RegionEstimate(by_slab=(Region.NECK,) * 12, slab_mm=10.0, upside_down=False)


def test_a_limit_lies_a_margin_beyond_the_inner_99_percent() -> None:
    low, high = limits_of(np.arange(0.0, 1001.0), logarithmic=False)
    assert low == pytest.approx(5 - MARGIN_OF_PLACES * 495, rel=0.01)
    assert high == pytest.approx(995 + MARGIN_OF_PLACES * 495, rel=0.01)


def test_sizes_keep_their_ratio_to_the_median() -> None:
    low, high = limits_of(np.array([10.0, 20.0, 40.0]), logarithmic=True)
    ratio = 2 ** (0.99 * (1 + MARGIN_OF_SIZES))
    assert (low, high) == (pytest.approx(20 / ratio, rel=0.01), pytest.approx(20 * ratio, rel=0.01))


def samples(count: int = 30) -> list[Sample]:
    rng = np.random.default_rng(7)
    made = []
    for number in range(count):
        x, y, z = rng.normal(0, 2, 3)
        placed = {
            "A": placement(x, y, z, volume_cc=float(rng.uniform(20, 30))),
            "B": placement(
                40 + x, y, z, volume_cc=2.0 if number < 5 else 25.0, edges=("inferior",) * (number < 5)
            ),
        }
        made.append(Sample(name=str(number), regions=ESTIMATE, placed=placed))
    return made


def test_the_samples_keep_within_their_own_limits_and_what_is_far_off_does_not() -> None:
    limits = learn(samples(), ("A", "B", "C"), ("neck", "head"), "thirty")
    assert [one.code for one in limits.structures] == ["A", "B"]
    assert limits.least_mm == 60
    assert all(not any(f.is_implausible for f in judge(limits, sample.placed)) for sample in samples())
    wrong = judge(limits, {"A": placement(), "B": placement(-40)})
    assert {finding.structure for finding in wrong if finding.is_implausible} == {"A", "B"}


def test_structures_that_the_scan_cuts_do_not_lower_the_least_volume() -> None:
    limits = learn(samples(), ("A", "B"), ("neck", "head"), "thirty")
    b = limits.of("B")
    assert b is not None
    assert b.volume_cc[0] > 20


def test_a_structure_in_few_samples_gets_no_limits() -> None:
    assert learn(samples(9), ("A", "B"), ("neck",), "nine").structures == ()

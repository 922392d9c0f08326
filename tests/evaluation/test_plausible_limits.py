"""Limits learned from values whose quantiles are known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from evaluation.plausible_limits import Sample, learn, limits_of, measured_samples, write_limits
from imaging.anatomy import Region, RegionEstimate
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume
from inference.contract.plausibility import Plausibility
from inference.judgement import judge
from tests.inference.limits import placement
from tests.support.models import MOODY

ESTIMATE = RegionEstimate(by_slab=(Region.NECK,) * 12, slab_mm=10.0, upside_down=False)


def test_a_limit_lies_a_margin_beyond_the_inner_99_percent() -> None:
    low, high = limits_of(np.arange(0.0, 1001.0), logarithmic=False)
    assert low == pytest.approx(5 - 1.2 * 495, rel=0.001)
    assert high == pytest.approx(995 + 1.2 * 495, rel=0.001)


def test_sizes_keep_their_ratio_to_the_median() -> None:
    low, high = limits_of(np.array([10.0, 20.0, 40.0]), logarithmic=True)
    ratio = 2 ** (0.99 * (1 + 0.8))
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


def test_a_structure_in_fewer_than_ten_samples_gets_no_limits() -> None:
    assert learn(samples(9), ("A", "B"), ("neck",), "nine").structures == ()
    ten = learn(samples(10), ("A", "B"), ("neck",), "ten")
    assert [one.code for one in ten.structures] == ["A", "B"]


def alike(count: int, **of_a: Any) -> list[Sample]:
    """As many samples, in which every number but those of A is the same."""
    placed = {"A": placement(**of_a), "B": placement(40, 7, -3)}
    return [Sample(name=str(number), regions=ESTIMATE, placed=placed) for number in range(count)]


def test_numbers_that_never_differ_are_limits_themselves() -> None:
    limits = learn(alike(10, median_hu=-123.4), ("A", "B"), ("neck", "head"), "ten")
    a = limits.of("A")
    assert a is not None
    assert (a.volume_cc, a.median_hu, a.across) == ((25.0, 25.0), (-123.0, -123.0), (0.0, 0.0))
    assert a.inside == (0.75, 1.0), "the outline is coarse: more of it in the body is never implausible"
    assert a.anchor == "middle"
    (pair,) = limits.pairs
    assert (pair.left_mm, pair.back_mm, pair.head_mm) == ((40.0, 40.0), (7.0, 7.0), (-3.0, -3.0))


@pytest.mark.parametrize(
    ("seen", "allowed"),
    [
        (Region.LEGS, ("legs",)),
        (Region.THORAX, ("thorax", "neck")),
        (Region.NECK, ("neck", "head")),
        (Region.HEAD, ("neck", "head")),
    ],
)
def test_neighbours_that_the_estimate_cannot_tell_apart_are_allowed_too(
    seen: Region, allowed: tuple[str, ...]
) -> None:
    a = learn(alike(10, region=seen), ("A", "B"), ("neck",), "ten").of("A")
    assert a is not None
    assert a.regions == allowed


@pytest.mark.parametrize(("cut", "anchor", "pairs"), [(6, "middle", 1), (7, "top", 1), (20, "top", 1)])
def test_what_often_ends_at_the_lower_edge_is_measured_from_its_top(
    cut: int, anchor: str, pairs: int
) -> None:
    made = alike(20 - cut) + alike(cut, edges=("inferior",))
    limits = learn(made, ("A", "B"), ("neck",), "twenty")
    a = limits.of("A")
    assert a is not None
    assert (a.anchor, len(limits.pairs)) == (anchor, pairs)
    assert limits.pairs[0].head_mm == ((-18.0, -18.0) if anchor == "top" else (-3.0, -3.0))


def test_a_pair_needs_ten_scans_that_show_the_distance_as_it_is() -> None:
    for whole, pairs in ((9, 0), (10, 1)):
        made = alike(whole) + alike(5, edges=("left",))
        assert len(learn(made, ("A", "B"), ("neck",), "some").pairs) == pairs


def test_the_models_own_answer_counts_from_a_dice_of_06_on() -> None:
    shape = (12, 30, 30)
    grid = Grid(
        shape_zyx=shape,
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=(6.0, 4.0, 4.0),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    hu = np.full(shape, -1000, np.int16)
    hu[:, 3:27, 3:27] = 40

    def rows(first: int, last: int) -> Mask:
        full = np.zeros(shape, bool)
        full[4:8, first:last, 10:20] = True
        return Mask.from_full(full)

    drawn = {"A": rows(10, 15), "B": rows(10, 15), "C": rows(10, 15)}
    found = {"A": rows(12, 17), "B": rows(13, 18), "C": Mask.empty(), "D": rows(10, 15)}  # Dice 0.6, 0.4
    by_hand, by_model = measured_samples("case", Volume(array_zyx=hu, grid=grid), drawn, found)
    assert (by_hand.is_drawn, by_model.is_drawn) == (True, False)
    assert (set(by_hand.placed), set(by_model.placed)) == ({"A", "B", "C"}, {"A"})
    assert by_model.placed["A"].middle_mm[1] - by_hand.placed["A"].middle_mm[1] == pytest.approx(8.0)


def test_limits_go_into_the_contract_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "contract.json"
    file.write_bytes((MOODY / "1" / "contract.json").read_bytes())
    limits = Plausibility(learned_from="ten", regions=("neck",), least_mm=60)
    write_limits(tmp_path, limits)
    written = json.loads(file.read_text())
    assert Plausibility.model_validate(written.pop("plausibility")) == limits
    assert written == json.loads((MOODY / "1" / "contract.json").read_text())
    before = file.read_bytes()
    with pytest.raises(ValidationError):
        write_limits(tmp_path, limits.model_copy(update={"least_mm": -1.0}))
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["contract.json"]

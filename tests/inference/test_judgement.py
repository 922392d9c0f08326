"""Which structures are implausible, and which of two that do not fit each other is at fault."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from imaging.anatomy import Region, RegionEstimate
from inference.contract.plausibility import Plausibility, StructureLimits
from inference.judgement import LIMITED, PlausibilityFinding, anchor, is_anchored, judge, region_finding
from tests.inference.limits import limits_document, placement, structure_document

LIMITS = Plausibility.model_validate(limits_document())


def implausible(findings: tuple[PlausibilityFinding, ...]) -> set[str]:
    return {finding.structure for finding in findings if finding.is_implausible}


def test_what_keeps_within_every_limit_has_no_findings() -> None:
    assert judge(LIMITS, {"A": placement(), "B": placement(30)}) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"volume_cc": 9.0}, "volume 9.00 cc, expected 10 to 50 cc"),
        ({"volume_cc": 51.0}, "volume 51 cc, expected 10 to 50 cc"),
        ({"height_mm": 61.0}, "height 61 mm, expected 20 to 60 mm"),
        ({"width_mm": 5.0}, "width 5.00 mm, expected 10 to 40 mm"),
        ({"depth_mm": 80.0}, "depth 80 mm, expected 10 to 40 mm"),
        (
            {"across": -0.75},
            "place from the body's right end (-1) to its left (1) -0.75, expected -0.50 to 0.50",
        ),
        ({"deep": 0.9}, "place from the body's front (0) to its back (1) 0.90, expected 0.30 to 0.80"),
        ({"inside": 0.5}, "share inside the body 0.50, expected 0.75 to 1.00"),
        ({"median_hu": -700.0}, "median -700 HU, expected -50 to 90 HU"),
        ({"body_cm2": 700.0}, "body cross-section at its height 700 cm2, expected 100 to 400 cm2"),
        ({"region": Region.THORAX}, "lies in the thorax, expected in neck or head"),
        ({"region": None}, "lies in the air, expected in neck or head"),
    ],
)
def test_each_limit_is_held_and_says_what_was_measured(change: dict[str, Any], words: str) -> None:
    (finding,) = judge(LIMITS, {"A": placement(**change)})
    assert (finding.structure, finding.is_implausible) == ("A", True)
    assert finding.words() == words


def test_the_fields_edge_excuses_what_is_small_and_is_said() -> None:
    cut = placement(volume_cc=2.0, height_mm=6.0, edges=("superior",))
    (finding,) = judge(LIMITS, {"A": cut})
    assert not finding.is_implausible
    assert finding.words() == "contact with the superior edge of the field; the scan may cut it"


@pytest.mark.parametrize(
    "change",
    [
        {"volume_cc": 70.0},  # too large all the same
        {"width_mm": 5.0},  # the upper edge makes nothing narrow
        {"median_hu": -700.0},
    ],
)
def test_the_fields_edge_excuses_nothing_else(change: dict[str, Any]) -> None:
    assert implausible(judge(LIMITS, {"A": placement(edges=("superior",), **change)})) == {"A"}


def test_of_two_structures_alone_that_do_not_fit_both_are_at_fault() -> None:
    findings = judge(LIMITS, {"A": placement(), "B": placement(-30)})
    assert implausible(findings) == {"A", "B"}
    assert [f.words() for f in findings] == [
        "distance from B to the left 30 mm, expected -60 to -10 mm",
        "distance from A to the left -30 mm, expected 10 to 60 mm",
    ]


def test_a_structure_that_is_implausible_already_accuses_no_other() -> None:
    assert implausible(judge(LIMITS, {"A": placement(), "B": placement(-30, volume_cc=1.0)})) == {"B"}


def test_a_distance_that_the_edge_changes_does_not_count() -> None:
    far_up = placement(30, z=100, edges=("superior",))
    assert implausible(judge(LIMITS, {"A": placement(), "B": far_up})) == set()
    assert implausible(judge(LIMITS, {"A": placement(), "B": placement(30, z=100)})) == {"A", "B"}


def seven() -> Plausibility:
    """Seven structures 40 mm apart in a row, each within 15 mm of its place to every other."""
    codes = "ABCDEFG"
    pairs = [
        {
            "first": a, "second": b, "left_mm": [40 * (codes.index(b) - codes.index(a)) - 15] * 2,
            "back_mm": [-15, 15], "head_mm": [-15, 15],
        }
        for a, b in combinations(codes, 2)
    ]  # fmt: skip
    for pair in pairs:
        pair["left_mm"] = [pair["left_mm"][0], pair["left_mm"][0] + 30]
    structures = [structure_document(code) for code in codes]
    return Plausibility.model_validate(limits_document() | {"structures": structures, "pairs": pairs})


def test_the_one_that_fits_none_of_the_others_is_at_fault_alone() -> None:
    placed = {code: placement(40 * i) for i, code in enumerate("ABCDEFG")}
    assert judge(seven(), placed) == ()
    assert implausible(judge(seven(), placed | {"D": placement(120, y=40)})) == {"D"}


def test_two_that_changed_places_are_at_fault_both() -> None:
    placed = {code: placement(40 * i) for i, code in enumerate("ABCDEFG")}
    assert implausible(judge(seven(), placed | {"B": placed["F"], "F": placed["B"]})) == {"B", "F"}


def test_one_distance_among_many_is_said_and_leaves_the_structures_in() -> None:
    placed = {code: placement(40 * i) for i, code in enumerate("ABCDEFG")}
    stretched = placed | {"A": placement(-10), "G": placement(250)}  # 20 mm more from end to end
    findings = judge(seven(), stretched)
    assert {finding.structure for finding in findings} == {"A", "G"}
    assert implausible(findings) == set()


def test_a_structure_without_limits_is_left_alone_but_for_the_edge() -> None:
    (finding,) = judge(LIMITS, {"C": placement(volume_cc=1e6, edges=("left",))})
    assert (finding.check, finding.is_implausible) == ("edge", False)


def estimate(*by_slab: Region | None, upside_down: bool = False) -> RegionEstimate:
    return RegionEstimate(by_slab=by_slab, slab_mm=10.0, upside_down=upside_down)


def test_a_ct_with_enough_of_the_models_regions_is_its_own() -> None:
    assert (
        region_finding(LIMITS, estimate(*[Region.THORAX] * 30, *[Region.NECK] * 3, *[Region.HEAD] * 2))
        is None
    )


def test_a_ct_with_too_little_of_them_is_not_and_says_what_it_shows() -> None:
    said = region_finding(LIMITS, estimate(*[Region.THORAX] * 30, *[Region.NECK] * 4))
    assert said == "the CT shows neck 40 mm, thorax 300 mm; at least 50 mm of neck or head are needed"
    assert "no body" in str(region_finding(LIMITS, estimate(None, None)))


def test_a_ct_that_runs_upside_down_is_not() -> None:
    said = region_finding(LIMITS, estimate(*[Region.HEAD] * 20, upside_down=True))
    assert said is not None
    assert "(0020,0037)" in said


@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("check", LIMITED)
def test_the_limit_itself_is_plausible_and_what_lies_beyond_is_not(check: str, end: int) -> None:
    limit = float(structure_document("A")[check][end])
    beyond = float(np.nextafter(limit, (-np.inf, np.inf)[end]))
    assert judge(LIMITS, {"A": placement(**{check: limit})}) == ()
    (finding,) = judge(LIMITS, {"A": placement(**{check: beyond})})
    assert (finding.check, finding.measured, finding.is_implausible) == (check, beyond, True)


@pytest.mark.parametrize(("axis", "low", "high"), [("x", 10, 60), ("y", -20, 20), ("z", -30, 30)])
def test_a_distance_may_be_its_limit_and_no_more(axis: str, low: float, high: float) -> None:
    at = {"x": 30.0, "y": 0.0, "z": 0.0}
    for value, fits in ((low, True), (high, True), (low - 0.01, False), (high + 0.01, False)):
        found = judge(LIMITS, {"A": placement(), "B": placement(**{**at, axis: value})})
        assert implausible(found) == (set() if fits else {"A", "B"})


SIDES = ("inferior", "superior", "anterior", "posterior", "right", "left")


@pytest.mark.parametrize("side", SIDES)
def test_each_edge_excuses_a_small_volume_and_what_lies_along_it(side: str) -> None:
    along = {"height_mm": SIDES[:2], "depth_mm": SIDES[2:4], "width_mm": SIDES[4:]}
    for check, sides in along.items():
        found = judge(LIMITS, {"A": placement(**{check: 5.0}, edges=(side,))})
        assert implausible(found) == (set() if side in sides else {"A"})
    assert implausible(judge(LIMITS, {"A": placement(volume_cc=5.0, edges=(side,))})) == set()


@pytest.mark.parametrize("side", SIDES)
def test_an_edge_spoils_the_distances_across_it_and_no_others(side: str) -> None:
    where = placement(edges=(side,))
    for how in ("middle", "top", "bottom"):
        ends = {"middle": ("inferior", "superior"), "top": ("superior",), "bottom": ("inferior",)}[how]
        assert is_anchored(where, how, "left_mm") == (side not in ("right", "left"))
        assert is_anchored(where, how, "back_mm") == (side not in ("anterior", "posterior"))
        assert is_anchored(where, how, "head_mm") == (side not in ends)


def test_distances_are_measured_from_the_anchor() -> None:
    where = placement(1, 2, 3)
    found = [
        anchor(where, StructureLimits.model_validate(structure_document("A", anchor=how)))
        for how in ("middle", "top", "bottom")
    ]
    assert found == [(1, 2, 3), (1, 2, 18), (1, 2, -12)]


def test_a_third_of_the_others_is_enough_to_leave_a_structure_out() -> None:
    placed = {code: placement(40 * i) for i, code in enumerate("ABCDEFG")}
    apart = placed | {"A": placement(-8), "F": placement(208), "G": placement(248)}  # 16 mm more to 2 of 6
    assert implausible(judge(seven(), apart)) == {"A"}


def test_nothing_is_said_of_a_zero_below_zero() -> None:
    finding = PlausibilityFinding(structure="A", check="left_mm", measured=12.0, expected=(-0.0, 9.99))
    assert finding.words() == "to the left 12 mm, expected 0.00 to 9.99 mm"
    assert replace(finding, expected=(0.0, 10.0)).words() == "to the left 12 mm, expected 0.00 to 10 mm"

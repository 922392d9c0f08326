from pathlib import Path

import pytest

from evaluation.cohort import CohortResult, CohortRow, Options, PatientResult
from evaluation.criteria import Criteria, accepted, judge, load_criteria
from evaluation.errors import EvaluationRefused
from evaluation.pair import PairState
from evaluation.report.commissioning import commissioning_page
from evaluation.report.page import html_of


def cohort(**dice: list[float | None]) -> CohortResult:
    """Dice by structure, a value a case; None is a missing structure."""
    count = max(map(len, dice.values()))
    patients = []
    for k in range(count):
        rows = [
            CohortRow(
                patient=f"c{k}",
                set_label="node",
                structure=structure,
                state=PairState.MISSING if values[k] is None else PairState.COMPARED,
                values={"dice": values[k]},
            )
            for structure, values in dice.items()
            if k < len(values)
        ]
        patients.append(PatientResult(name=f"c{k}", rows=tuple(rows)))
    return CohortResult(
        options=Options(reference="clinic"), set_labels=("node",), patients=tuple(patients), incomplete=()
    )


def criteria(*criterion: dict[str, object], cases: int = 1) -> Criteria:
    return Criteria.model_validate({"model": "hn_oar", "cases_at_least": cases, "criterion": criterion})


def verdict(limits: Criteria, of: CohortResult) -> list[str]:
    return accepted(limits, of, judge(limits, of))


MEAN = {"structure": "*", "metric": "dice", "at_least": 0.8}


def test_every_structure_is_held_against_a_limit_for_all() -> None:
    judged = judge(criteria(MEAN), cohort(Larynx=[0.7, 0.9], Cord=[0.7, 0.7]))
    assert {j.structure: (j.value, j.met, j.reason) for j in judged} == {
        "Cord": (pytest.approx(0.7), False, "below the limit"),
        "Larynx": (pytest.approx(0.8), True, ""),
    }


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ("mean", 0.6),
        ("median", 0.7),
        ("minimum", 0.2),
        ("maximum", 0.9),
        ("5th percentile", 0.2 + 0.1 * 0.5),
        ("95th percentile", 0.9 - 0.1 * 0.2),
    ],
)
def test_statistics(statistic: str, value: float) -> None:
    """Of 0.2, 0.7 and 0.9; the 5th percentile lies a tenth of the way from the first to the second."""
    (judged,) = judge(criteria({**MEAN, "statistic": statistic}), cohort(Larynx=[0.7, 0.2, 0.9]))
    assert judged.value == pytest.approx(value)


def test_a_missing_structure_fails_whatever_the_others_are() -> None:
    three = cohort(Larynx=[0.95, 0.95, None])
    (judged,) = judge(criteria(MEAN), three)
    assert (judged.met, judged.reason) == (False, "1 missing or spurious, 0 allowed")
    assert verdict(criteria({**MEAN, "missing_at_most": 1}), three) == []
    (two,) = judge(criteria({**MEAN, "missing_at_most": 1}), cohort(Larynx=[0.95, None, None]))
    assert (two.met, two.reason, two.cases) == (False, "2 missing or spurious, 1 allowed", 1)


def test_a_limit_from_above_holds_at_the_limit_itself() -> None:
    of = cohort(Larynx=[0.5, 0.75])
    for most, met, reason in ((0.625, True, ""), (0.62, False, "above the limit")):
        (judged,) = judge(criteria({"structure": "Larynx", "metric": "dice", "at_most": most}), of)
        assert (judged.met, judged.reason, judged.criterion.limit) == (met, reason, f"at most {most}")
    (least,) = judge(criteria({**MEAN, "at_least": 0.625}), of)
    assert (least.met, least.criterion.limit) == (True, "at least 0.625")


def test_a_cohort_without_any_structure_meets_nothing() -> None:
    nothing = CohortResult(options=Options(reference="clinic"), set_labels=(), patients=(), incomplete=())
    (judged,) = judge(criteria(MEAN), nothing)
    assert (judged.structure, judged.met, judged.reason) == ("*", False, "no case has a value")


def test_what_no_case_has_is_not_met() -> None:
    (judged,) = judge(criteria({**MEAN, "structure": "Lens_L"}), cohort(Larynx=[0.9]))
    assert (judged.met, judged.reason) == (False, "no case has a value")


def test_too_few_cases_and_cases_that_failed() -> None:
    one = cohort(Larynx=[0.9])
    assert verdict(criteria(MEAN, cases=2), one) == ["1 cases; the criteria ask for 2"]
    failed = CohortResult(
        options=one.options,
        set_labels=one.set_labels,
        patients=(*one.patients, PatientResult(name="c9", failure="no CT")),
        incomplete=(),
    )
    assert verdict(criteria(MEAN), failed) == ["case c9 could not be evaluated: no CT"]
    assert verdict(criteria(MEAN), one) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('model = "m"\n', "criterion: Field required"),
        ('model = "m"\n[[criterion]]\nstructure = "*"\nmetric = "dice"\n', "give either at_least or at_most"),
        (
            'model = "m"\n[[criterion]]\nstructure = "*"\nmetric = "hd95"\nat_most = 3\n',
            "hd95 is not a metric",
        ),
        ('model = "m"\n[[criterion]]\nstructure = "*"\nmetric = "dice"\nat_leats = 3\n', "at_leats"),
        (
            'model = "m"\n[[criterion]]\nstructure = "*"\nmetric = "dice"\nat_least = 1\nat_most = 3\n',
            "give either",
        ),
        (
            'model = "m"\ntolerances_mm = [0]\n[[criterion]]\nstructure = "*"\nmetric = "dice"\nat_least = 1\n',
            "tolerances_mm.0",
        ),
        ("model = ", "not valid TOML"),
    ],
)
def test_a_wrong_file(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "criteria.toml"
    path.write_text(text)
    with pytest.raises(EvaluationRefused, match=f"criteria.toml: .*{words}"):
        load_criteria(path)
    with pytest.raises(EvaluationRefused, match=r"absent\.toml: No such file"):
        load_criteria(tmp_path / "absent.toml")


def test_a_file_asks_for_ten_cases_where_it_does_not_say(tmp_path: Path) -> None:
    path = tmp_path / "criteria.toml"
    path.write_text('model = "m"\n[[criterion]]\nstructure = "*"\nmetric = "dice"\nat_least = 0.5\n')
    read = load_criteria(path)
    assert (read.cases_at_least, read.tolerances_mm) == (10, (1.0, 2.0, 3.0))
    nine, ten = cohort(Larynx=[0.9] * 9), cohort(Larynx=[0.9] * 10)
    assert (verdict(read, nine), verdict(read, ten)) == (["9 cases; the criteria ask for 10"], [])


def test_the_page_says_what_is_not_met_and_what_was_tried() -> None:
    of = cohort(Larynx=[0.5, 0.6])
    limits = criteria(MEAN, cases=2)
    page = html_of(commissioning_page(limits, of, judge(limits, of), {"model package SHA-256": "ab12"}, ()))
    assert "Not accepted:" in page
    assert "1 of 1 criteria are not met" in page
    assert "NOT MET" in page
    assert "ab12" in page
    assert "medical physicist, date" in page

"""The score of trust on made-up patients: it learns what tells good from bad, and does not invent what is not there."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.errors import EvaluationRefused
from evaluation.report.page import html_of
from evaluation.report.trust import trust_page
from evaluation.trust import Instance, assess, auc, learn
from inference.contract.trust import FEATURES
from inference.trust import trust


def instances(effect: float, patients: int = 20, seed: int = 0) -> list[Instance]:
    """Two structures a patient; Dice falls by `effect` for one SD of unusual place, the rest is noise."""
    rng = np.random.default_rng(seed)
    found = []
    for patient in range(patients):
        for code, usual in (("Larynx", 0.68), ("Mandible", 0.72)):
            measured = {name: float(rng.normal()) for name in FEATURES if name != "usual"}
            dice = usual - effect * measured["place"] + 0.02 * float(rng.normal())
            found.append(Instance(patient=f"p{patient:02}", code=code, measured=measured, dice=dice))
    return found


def test_what_tells_good_from_bad_is_learned() -> None:
    quality = assess(instances(0.1), 0.7)
    assert quality.auc > 0.9
    assert quality.auc_low > 0.75
    assert quality.auc > quality.auc_structure_alone
    assert quality.brier < quality.brier_constant
    weights = learn(instances(0.1), 0.7, "made up")
    assert min(weights.weights, key=lambda name: weights.weights[name]) == "place"


def test_where_nothing_tells_the_figures_say_so() -> None:
    """Dice independent of every measurement and of the structure: the interval covers a coin's 0.5."""
    rng = np.random.default_rng(4)
    blind = [
        Instance(patient=i.patient, code=i.code, measured=i.measured, dice=float(rng.uniform(0.5, 0.9)))
        for i in instances(0.0, patients=30)
    ]
    quality = assess(blind, 0.7)
    assert quality.auc_low < 0.5 + 0.1
    assert quality.auc < 0.72
    assert quality.brier > quality.brier_constant - 0.02


def test_no_patient_teaches_its_own_score() -> None:
    """One patient's measurements are turned round: its scores change as the others teach, not as it would like."""
    plain = instances(0.1)
    changed = [
        i
        if i.patient != "p00"
        else Instance(patient="p00", code=i.code, measured=i.measured, dice=1.0 - i.dice)
        for i in plain
    ]
    before, after = assess(plain, 0.7), assess(changed, 0.7)
    of = [k for k, i in enumerate(before.instances) if i.patient == "p00"]
    assert [before.scores[k] for k in of] == pytest.approx([after.scores[k] for k in of])


def test_area_under_the_curve_by_hand() -> None:
    """Pairs (good, bad): 0.9 over 0.4 and 0.5, 0.5 over 0.4 and level with 0.5."""
    scores, good = np.array([0.9, 0.5, 0.4, 0.5]), np.array([True, True, False, False])
    assert auc(scores, good) == pytest.approx((1 + 1 + 1 + 0.5) / 4)


def test_the_weights_are_where_the_penalised_likelihood_has_its_maximum() -> None:
    """Gradient by hand: the intercept carries no penalty, each weight half its square times 3."""
    made = instances(0.1)
    found = learn(made, 0.7, "made up")
    assert found.usual_dice["Larynx"] == pytest.approx(np.mean([i.dice for i in made if i.code == "Larynx"]))
    good = np.array([i.dice >= 0.7 for i in made], float)
    table = np.array([[{**i.measured, "usual": found.usual_dice[i.code]}[n] for n in FEATURES] for i in made])
    means, scales, weights = (
        np.array([part[n] for n in FEATURES]) for part in (found.means, found.scales, found.weights)
    )
    np.testing.assert_allclose((means, scales), (table.mean(axis=0), table.std(axis=0)))
    standard = (table - means) / scales
    given = 1 / (1 + np.exp(-(found.intercept + standard @ weights)))
    np.testing.assert_allclose(standard.T @ (good - given), 3.0 * weights, atol=1e-3)
    assert given.sum() == pytest.approx(good.sum(), abs=1e-3)


def test_a_dice_at_the_limit_is_good_and_what_never_differs_has_no_weight() -> None:
    rng = np.random.default_rng(2)
    made = [
        Instance(
            patient=f"p{k}", code="Larynx", measured={n: float(rng.normal()) for n in FEATURES if n != "usual"},
            dice=0.7 if k % 2 else 0.5,
        )
        for k in range(10)
    ]  # fmt: skip
    found = learn(made, 0.7, "five and five")
    assert found.scales["usual"] == 1.0
    assert found.weights["usual"] == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(EvaluationRefused, match="10 patients with 10 structures under and 0 over"):
        learn(made, 0.71, "none is good")


def test_curves_end_where_they_must() -> None:
    quality = assess(instances(0.1), 0.7)
    assert (quality.roc[0][0], quality.roc[1][0]) == (0.0, 0.0)
    assert (quality.roc[0][-1], quality.roc[1][-1]) == (1.0, 1.0)
    assert [number for _, _, number in quality.calibration] == [8] * 5
    scores, good = np.array(quality.scores), np.array(quality.good)
    order = np.argsort(scores, kind="stable")
    groups = [(scores[g].mean(), good[g].mean()) for g in order.reshape(5, 8)]
    np.testing.assert_allclose([one[:2] for one in quality.calibration], groups)
    assert quality.brier == pytest.approx(np.mean((scores - good) ** 2))
    assert quality.brier_constant == pytest.approx(good.mean() * (1 - good.mean()))
    alarms, caught = (np.array(part) for part in quality.roc)
    assert np.trapezoid(caught, alarms) == pytest.approx(quality.auc), "the area under its own curve"
    assert quality.auc_low < quality.auc < quality.auc_high <= 1.0


def test_too_few_to_learn_from() -> None:
    with pytest.raises(
        EvaluationRefused, match=r"4 patients with .* learning needs 5 patients and 5 of each"
    ):
        learn(instances(0.1, patients=4), 0.7, "few")
    with pytest.raises(EvaluationRefused, match="with 0 structures under and 40 over"):
        learn(instances(0.1), 0.01, "no bad ones")


def test_five_patients_with_five_good_and_five_bad_are_enough_and_one_less_is_not() -> None:
    ten = instances(0.1, patients=5)
    made = [replace(i, dice=0.9 if k % 2 else 0.5) for k, i in enumerate(ten)]
    assert learn(made, 0.7, "just enough").learned_from == "just enough"
    one_bad_less = [replace(i, dice=0.9) if k == 0 else i for k, i in enumerate(made)]
    with pytest.raises(EvaluationRefused, match="5 patients with 4 structures under and 6 over"):
        learn(one_bad_less, 0.7, "four bad")
    one_good_less = [replace(i, dice=0.5) if k == 1 else i for k, i in enumerate(made)]
    with pytest.raises(EvaluationRefused, match="5 patients with 6 structures under and 4 over"):
        learn(one_good_less, 0.7, "four good")
    one_patient_less = [replace(i, patient="p01" if i.patient == "p00" else i.patient) for i in made]
    with pytest.raises(EvaluationRefused, match="4 patients with 5 structures under and 5 over"):
        learn(one_patient_less, 0.7, "four patients")


def test_nothing_is_said_of_a_structure_that_was_never_seen() -> None:
    weights = learn(instances(0.1), 0.7, "made up")
    measured = instances(0.1)[0].measured
    assert trust(weights, "Lens_L", measured) is None
    score = trust(weights, "Larynx", measured)
    assert score is not None
    assert 0 < score < 1


def test_the_page_says_the_limits() -> None:
    page = html_of(trust_page(assess(instances(0.1), 0.7), learn(instances(0.1), 0.7, "made up")))
    assert "It replaces no look." in page
    assert "without the patient it scores" in page

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest

from imaging.volumes.volume import Mask
from inference.contract import ModelContract
from inference.contract.trust import FEATURES, TrustWeights
from inference.judgement import PlausibilityFinding
from inference.trust import TrustCase, measurements, trust
from tests.inference.limits import limits_document, placement
from tests.support.models import contract_document


def contract() -> ModelContract:
    document = contract_document("m", ("A", "B"))
    return ModelContract.model_validate(
        {**document, "left_right_pairs": [["A", "B"]], "plausibility": limits_document()}
    )


def mask(pieces: int) -> Mask:
    full = np.zeros((5, 9, 9), bool)
    for k in range(pieces):
        full[2, 2 * k, 2 * k] = True
        full[1, 2 * k, 2 * k] = True
    return Mask.from_full(full)


def measured(**changes: object) -> dict[str, float]:
    """What is measured of A beside an ordinary B."""
    case = TrustCase(
        masks={"A": mask(1), "B": mask(1)},
        placed={"A": replace(placement(), **changes), "B": placement()},  # type: ignore[arg-type]
        findings=(),
        mean_probability={"A": 0.9, "B": 0.9},
    )
    return measurements(contract(), case)["A"]


def test_every_measurement_but_what_is_usual() -> None:
    assert tuple(measured()) == FEATURES[:-1]


def test_volume_extent_and_place_against_the_limits() -> None:
    """Volumes from 10 to 50 cc, heights from 20 to 60 mm, across from -0.5 to 0.5."""
    middle = (10 * 50) ** 0.5
    assert measured(volume_cc=middle)["volume"] == pytest.approx(0.0)
    assert measured(volume_cc=middle / 2)["volume"] == pytest.approx(-log(2))
    assert measured(volume_cc=0.0)["volume"] == pytest.approx(-log(10))
    assert measured(height_mm=80.0)["extent"] == pytest.approx(2.0)
    assert measured(height_mm=1000.0)["extent"] == 3.0
    assert measured(across=-0.75)["place"] == pytest.approx(1.5)


def test_probability_edge_and_the_other_side() -> None:
    assert measured()["improbability"] == pytest.approx(0.1)
    assert (measured()["cut"], measured(edges=("superior",))["cut"]) == (0.0, 1.0)
    other = placement().volume_cc
    assert measured(volume_cc=other)["asymmetry"] == 0.0
    assert measured(volume_cc=other * 2)["asymmetry"] == measured(volume_cc=other / 2)["asymmetry"]
    assert measured(volume_cc=other * 2)["asymmetry"] == pytest.approx(log(2))


def test_pieces_and_findings() -> None:
    finding = PlausibilityFinding(structure="A", check="volume_cc", measured=1.0, expected=(10.0, 50.0))
    case = TrustCase(
        masks={"A": mask(3)},
        placed={"A": placement()},
        findings=(finding, replace(finding, check="edge"), replace(finding, structure="B")),
        mean_probability={},
    )
    found = measurements(contract(), case)["A"]
    assert (found["pieces"], found["findings"], found["improbability"]) == (2.0, 1.0, 1.0)


def test_what_has_no_limits_is_as_strange_as_can_be_and_of_usual_volume() -> None:
    case = TrustCase(
        masks={"A": mask(5)},
        placed={"A": placement(volume_cc=0.0)},
        findings=(),
        mean_probability={"A": 1.0},
    )
    bare = ModelContract.model_validate(contract_document("m", ("A", "B")))
    found = measurements(bare, case)["A"]
    assert {found[name] for name in ("extent", "place", "density")} == {3.0}
    assert (found["volume"], found["asymmetry"], found["pieces"]) == (0.0, 0.0, 3.0)


def test_asymmetry_is_a_factor_of_ten_at_most_and_of_nothing_too() -> None:
    other = placement().volume_cc
    assert measured(volume_cc=other * 9)["asymmetry"] == pytest.approx(log(9))
    assert measured(volume_cc=other * 1000)["asymmetry"] == log(10)
    assert measured(volume_cc=0.0)["asymmetry"] == log(10)


def test_the_score_is_a_logistic_of_standardised_measurements() -> None:
    zero = dict.fromkeys(FEATURES, 0.0)
    weights = TrustWeights(
        learned_from="made up",
        good_dice=0.7,
        intercept=0.5,
        means={**zero, "volume": 1.0},
        scales=dict.fromkeys(FEATURES, 2.0),
        weights={**zero, "volume": 3.0, "usual": 4.0},
        usual_dice={"A": 0.6},
    )
    total = 0.5 + 3.0 * (2.0 - 1.0) / 2.0 + 4.0 * 0.6 / 2.0
    given = dict.fromkeys(FEATURES[:-1], 0.0) | {"volume": 2.0}
    assert trust(weights, "A", given) == pytest.approx(1 / (1 + exp(-total)))
    assert trust(weights, "B", given) is None

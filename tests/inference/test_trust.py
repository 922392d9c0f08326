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


def test_what_is_far_beyond_the_limits_counts_no_more() -> None:
    assert measured(volume_cc=1e9)["volume"] == pytest.approx(log(10))
    assert measured(volume_cc=1e9)["asymmetry"] == measured(volume_cc=0.0)["asymmetry"] == log(10)
    assert measured(median_hu=1e6)["density"] == 3.0
    assert measured(median_hu=20.0 + 70.0 * 1.25)["density"] == pytest.approx(1.25)
    far = TrustCase(masks={"A": mask(5)}, placed={"A": placement()}, findings=(), mean_probability={})
    assert measurements(contract(), far)["A"]["pieces"] == 3.0
    assert measurements(contract(), far)["A"]["asymmetry"] == 0.0, "no other side"


def test_without_limits_size_says_nothing_and_place_is_as_far_off_as_can_be() -> None:
    plain = contract().model_copy(update={"plausibility": None})
    case = TrustCase(masks={"A": mask(1)}, placed={"A": placement()}, findings=(), mean_probability={})
    found = measurements(plain, case)["A"]
    assert (found["volume"], found["extent"], found["place"], found["density"]) == (0.0, 3.0, 3.0, 3.0)


def test_the_score_is_the_logistic_of_standardised_measurements() -> None:
    weights = TrustWeights(
        learned_from="nobody",
        good_dice=0.8,
        intercept=0.5,
        means={name: 0.1 * k for k, name in enumerate(FEATURES)},
        scales={name: 1.0 + k for k, name in enumerate(FEATURES)},
        weights={name: (-1.0) ** k for k, name in enumerate(FEATURES)},
        usual_dice={"A": 0.85},
    )
    values = dict.fromkeys(FEATURES[:-1], 0.7)
    total = 0.5 + sum((-1.0) ** k * (0.7 - 0.1 * k) / (1 + k) for k in range(9)) - (0.85 - 0.9) / 10
    assert trust(weights, "A", values) == pytest.approx(1 / (1 + exp(-total)))
    assert trust(weights, "B", values) is None, "nothing was learned of it"

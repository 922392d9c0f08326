"""The rows of a job's structures: measured on hand-made boxes, with findings, whatever became of the structure."""

import json
from math import exp, log
from pathlib import Path
from typing import Any

import pytest

from inference.contract import ModelContract
from inference.contract.trust import FEATURES, TrustWeights
from service.store import JobState, StructureResult
from tests.service.work.test_plausibility import TOO_SMALL, contoured, limited, template_of
from tests.support.models import contract_document
from tests.support.small_node import SmallNode, model

BRAINSTEM_CC = 6 * 6 * 8 * 0.08
LARYNX_CC = 6 * 6 * 6 * 0.08


def rows(node: SmallNode) -> dict[str, StructureResult]:
    found = {row.code or row.name: row for row in node.book.structures(node.job().id)}
    assert len(found) == len(node.book.structures(node.job().id))
    return found


def weights(**changes: Any) -> TrustWeights:
    """Weights that let only the mean probability count, by 1 a unit."""
    values: dict[str, Any] = {
        "learned_from": "nobody",
        "good_dice": 0.7,
        "intercept": 0.5,
        "means": dict.fromkeys(FEATURES, 0.0),
        "scales": dict.fromkeys(FEATURES, 1.0),
        "weights": dict.fromkeys(FEATURES, 0.0) | {"improbability": -2.0, "volume": -1.0},
        "usual_dice": {"Brainstem": 0.8},
    }
    return TrustWeights.model_validate(values | changes)


def scored(contract: ModelContract) -> ModelContract:
    return contract.model_copy(update={"trust": weights()})


def test_every_structure_of_the_model_has_a_row_with_what_was_measured(small_node: SmallNode) -> None:
    contoured(small_node, limited({}))
    found = rows(small_node)
    assert list(found)[:2] == ["Brainstem", "Larynx"]
    assert set(found) == set(model().labels)
    stem = found["Brainstem"]
    assert (stem.name, stem.is_sent, stem.slices, stem.pieces) == ("Brainstem", True, 6, 1)
    assert stem.volume_cc == pytest.approx(BRAINSTEM_CC)
    assert stem.mean_probability == pytest.approx(0.9)
    assert (stem.edges, stem.findings, stem.trust) == ((), (), None)
    missing = found["SpinalCord"]
    assert (missing.is_sent, missing.volume_cc, missing.slices, missing.pieces) == (False, 0.0, 0, 0)
    assert (missing.name, missing.mean_probability) == ("SpinalCord", None)


def test_a_structure_left_out_has_its_measurements_and_is_not_sent(small_node: SmallNode) -> None:
    contoured(small_node, limited(TOO_SMALL))
    stem = rows(small_node)["Brainstem"]
    assert (stem.is_sent, stem.slices) == (False, 6)
    (finding,) = stem.findings
    assert (finding.check, finding.expected, finding.is_implausible) == ("volume_cc", (30.0, 60.0), True)
    assert finding.measured == pytest.approx(BRAINSTEM_CC)
    assert finding.words == "volume 23 cc, expected 30 to 60 cc"
    assert rows(small_node)["Larynx"].is_sent


def test_a_structure_left_out_that_the_template_sends_empty_is_not_sent(
    small_node: SmallNode, tmp_path: Path
) -> None:
    text = '[[structure]]\nname = "Stem"\nfrom = "Brainstem"\nwhen_empty = "send"\n'
    text += '[[structure]]\nname = "Larynx"\nfrom = "Larynx"\n'
    contoured(small_node, limited(TOO_SMALL), template=template_of(tmp_path, text))
    stem = rows(small_node)["Brainstem"]
    assert (stem.name, stem.is_sent, stem.volume_cc) == ("Stem", False, pytest.approx(BRAINSTEM_CC))


def test_a_flagged_structure_is_sent_with_its_finding(small_node: SmallNode) -> None:
    contoured(small_node, limited(TOO_SMALL), implausible="flag")
    stem = rows(small_node)["Brainstem"]
    assert (stem.is_sent, [finding.check for finding in stem.findings]) == (True, ["volume_cc"])


def test_a_refused_job_has_no_rows(small_node: SmallNode) -> None:
    contoured(small_node, limited(TOO_SMALL), implausible="refuse")
    assert small_node.job().state is JobState.REFUSED
    assert rows(small_node) == {}


def test_contact_with_the_edge_stands_in_the_row_with_and_without_limits(small_node: SmallNode) -> None:
    contoured(small_node, model(), columns_cut=64)
    found = rows(small_node)
    assert (found["Larynx"].edges, found["Brainstem"].edges) == (("right",), ())
    assert found["Larynx"].findings == ()


def test_a_derived_structure_has_no_code_and_no_probability(small_node: SmallNode, tmp_path: Path) -> None:
    text = (
        'unlisted = "omit"\n[[structure]]\nname = "Stem_PRV"\nfrom = "Brainstem"\ntype = "AVOIDANCE"\n'
        "steps = [{ margin_mm = 5 }]\n"
    )
    contoured(small_node, limited({}), template=template_of(tmp_path, text))
    first, *others = small_node.book.structures(small_node.job().id)
    assert (first.name, first.code, first.is_sent, first.mean_probability) == ("Stem_PRV", "", True, None)
    assert first.volume_cc > BRAINSTEM_CC
    assert {row.code for row in others} == set(model().labels)
    assert not any(row.is_sent for row in others)


def test_the_score_of_a_model_that_has_weights_stands_in_the_row(small_node: SmallNode) -> None:
    """By hand: 0.5 - 2 * (1 - 0.9) - 1 * log(23.04 / sqrt(1 * 500)) in the logistic.

    Nothing was learned of the larynx.
    """
    contoured(small_node, scored(limited({})))
    found = rows(small_node)
    total = 0.5 - 2 * 0.1 - log(BRAINSTEM_CC / 500**0.5)
    assert found["Brainstem"].trust == pytest.approx(1 / (1 + exp(-total)), abs=1e-5)
    assert found["Larynx"].trust is None
    assert found["SpinalCord"].trust is None


def test_a_structure_left_out_has_a_score_too(small_node: SmallNode) -> None:
    contoured(small_node, scored(limited(TOO_SMALL)))
    assert rows(small_node)["Brainstem"].trust is not None


@pytest.mark.parametrize("field", ["means", "scales", "weights"])
def test_weights_that_lack_a_measurement_are_refused_with_the_field(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must name each of volume"):
        weights(**{field: {"volume": 1.0}})


def test_a_contract_holds_the_weights_as_they_were_learned() -> None:
    document = contract_document(trust=json.loads(weights().model_dump_json()))
    assert ModelContract.model_validate(document).trust == weights()


def test_a_scale_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="scales must be above 0"):
        weights(scales=dict.fromkeys(FEATURES, 0.0))

"""The limits in a model's contract: what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from inference.contract import ModelContract
from inference.contract.plausibility import Plausibility, StructureLimits
from tests.inference.limits import limits_document, structure_document
from tests.support.models import contract_document, model_contract


def test_a_contract_with_limits_is_read_and_written_alike() -> None:
    document = contract_document("one", ("A", "B"), plausibility=limits_document())
    contract = ModelContract.model_validate(document)
    assert contract.plausibility is not None
    assert Plausibility.model_validate(contract.plausibility.model_dump(mode="json")) == contract.plausibility
    limits = contract.plausibility.of("A")
    assert isinstance(limits, StructureLimits)
    assert limits.volume_cc == (10, 50)
    assert contract.plausibility.of("C") is None


def test_a_contract_without_limits_is_accepted() -> None:
    assert model_contract().plausibility is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"structures": [structure_document("A", volume_cc=[50, 10])]}, "volume_cc runs from low to high"),
        ({"structures": [structure_document("A"), structure_document("A")], "pairs": []}, "given twice"),
        ({"structures": [structure_document("A")]}, "pairs name"),
        ({"structures": [structure_document("A", regions=["tail"])]}, "regions"),
        ({"least_mm": 0}, "least_mm"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_limits_that_contradict_themselves_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Plausibility.model_validate(limits_document() | change)


def test_limits_for_a_structure_that_the_model_does_not_have_are_refused() -> None:
    document = contract_document("one", ("A",), plausibility=limits_document())
    with pytest.raises(ValidationError, match="plausibility has limits for B"):
        ModelContract.model_validate(document)

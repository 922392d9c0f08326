"""The limits in a model's contract: what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from inference.plausibility import Plausibility, StructureLimits
from inference.spec import ModelSpec
from tests.inference.limits import limits_document, structure_document
from tests.support.models import model_spec, spec_document


def test_a_contract_with_limits_is_read_and_written_alike() -> None:
    document = spec_document("one", ("A", "B"), plausibility=limits_document())
    spec = ModelSpec.model_validate(document)
    assert spec.plausibility is not None
    assert Plausibility.model_validate(spec.plausibility.model_dump(mode="json")) == spec.plausibility
    limits = spec.plausibility.of("A")
    assert isinstance(limits, StructureLimits)
    assert limits.volume_cc == (10, 50)
    assert spec.plausibility.of("C") is None


def test_a_contract_without_limits_is_accepted() -> None:
    assert model_spec().plausibility is None


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
    document = spec_document("one", ("A",), plausibility=limits_document())
    with pytest.raises(ValidationError, match="plausibility has limits for B"):
        ModelSpec.model_validate(document)

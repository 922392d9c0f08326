"""A contract's structures are the catalogue's, or the model's own.

Left and right are paired as the catalogue pairs them.
"""

from typing import Any

import pytest

from imaging.structures import Code, InterpretedType
from inference.contract import load_contracts
from inference.errors import ContractRefused
from inference.structures import own_structures
from tests.support.models import HN_CODES, model_contract
from tests.support.triton import REPOSITORY

FLAP = {
    "name": "Flap_L",
    "colour_rgb": [10, 20, 30],
    "interpreted_type": "AVOIDANCE",
    "concept": {"value": "256683004", "scheme": "SCT", "meaning": "Flap"},
}


def test_the_published_models_structures_are_all_in_the_catalogue() -> None:
    for contract in load_contracts(REPOSITORY / "model_repository").values():
        assert own_structures(contract) == {}


def test_a_model_defines_what_the_catalogue_lacks() -> None:
    structures = [{"code": "Larynx"}, {"code": "Flap_L", "definition": FLAP}]
    own = own_structures(model_contract(structures=structures))
    assert list(own) == ["Flap_L"]
    assert (own["Flap_L"].name, own["Flap_L"].colour_rgb) == ("Flap_L", (10, 20, 30))
    assert own["Flap_L"].interpreted_type is InterpretedType.AVOIDANCE
    assert own["Flap_L"].concept == Code(value="256683004", scheme="SCT", meaning="Flap")


PAIR = [["Parotid_R", "Parotid_L"]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"structures": [{"code": "Larynx"}, {"code": "Flap"}]}, r"structures\.1\.definition.*no 'Flap'"),
        (
            {"structures": [{"code": "Larynx", "definition": FLAP}]},
            r"structures\.0\.definition.*'Larynx'; remove",
        ),
        (
            {"structures": [{"code": "Flap", "definition": {**FLAP, "interpreted_type": "FLESH"}}]},
            r"structures\.0\.definition\.interpreted_type: 'FLESH'",
        ),
        ({"codes": HN_CODES}, "left_right_pairs: Parotid_R is paired with None, .* with Parotid_L"),
        (
            {"codes": HN_CODES, "left_right_pairs": [*PAIR, ["Larynx", "Mandible"]]},
            "left_right_pairs: Larynx is paired with Mandible, .* with None",
        ),
    ],
)
def test_structures_that_contradict_the_catalogue_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ContractRefused, match=reason):
        own_structures(model_contract(**changes))


def test_one_side_alone_needs_no_partner() -> None:
    assert own_structures(model_contract(codes=("Parotid_R", "Larynx"))) == {}
    assert own_structures(model_contract(codes=HN_CODES, left_right_pairs=PAIR)) == {}

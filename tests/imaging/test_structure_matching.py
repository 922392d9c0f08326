import pytest

from imaging.structure_matching import How, match
from imaging.structures import Code
from tests.support.models import HN_CODES


def fma(value: str) -> Code:
    return Code(value=value, scheme="FMA", meaning="?")


@pytest.mark.parametrize(
    ("name", "code", "how"),
    [
        ("SpinalCord", "SpinalCord", How.NAME),
        ("bone_mandible", "Mandible", How.NAME),
        ("Mandible", "Mandible", How.NAME),
        ("Spinal Cord", "SpinalCord", How.ALIAS),
        ("Rückenmark", "SpinalCord", How.ALIAS),
        ("Parotis links", "Parotid_L", How.ALIAS),
        ("PAROTIS_RE", "Parotid_R", How.ALIAS),
        ("Lt Parotid", "Parotid_L", How.ALIAS),
        ("Oesophagus", "Esophagus", How.ALIAS),
        ("Brainsten", "Brainstem", How.SIMILAR),
        ("Oesophagsu", "Esophagus", How.SIMILAR),
        # near, and something else
        ("Parotids", None, How.NONE),
        ("Parotid", None, How.NONE),
        ("Larynx_L", None, How.NONE),
        ("Carotid_L", None, How.NONE),
        ("Pharynx", None, How.NONE),
        ("Larynx_SG", None, How.NONE),
        ("SpinalCanal", None, How.NONE),
        ("SpinalCord_PRV5", None, How.NONE),
        ("PTV_7000", None, How.NONE),
        ("", None, How.NONE),
    ],
)
def test_names_mean_structures_of_their_side(name: str, code: str | None, how: How) -> None:
    found = match(name, None, HN_CODES)
    assert (found.code, found.how) == (code, how)


def test_a_code_tells_what_a_name_does_not() -> None:
    assert match("Myel.", fma("7647"), HN_CODES).how is How.CODE
    assert match("Myel._5mm", fma("7647"), HN_CODES).code is None, "a number: derived from it"


def test_a_code_never_changes_the_side() -> None:
    assert match("Speicheldr_re", fma("59798"), HN_CODES).code is None
    assert match("Parotid_R", fma("59798"), HN_CODES).how is How.DISPUTED


def test_a_name_against_its_code_is_for_a_person() -> None:
    found = match("Myelon", fma("9680"), HN_CODES)
    assert (found.code, found.how, found.is_certain) == ("SpinalCord", How.DISPUTED, False)


def test_only_the_models_structures_are_found() -> None:
    assert match("Larynx", None, ("Mandible",)).code is None

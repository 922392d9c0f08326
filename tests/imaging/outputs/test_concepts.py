import pytest
from pydicom.sr import _concepts_dict
from pydicom.sr.coding import Code as StandardCode

from imaging.outputs import concepts
from imaging.outputs.concepts import PRIVATE_SCHEME, property_of
from imaging.structures import CATALOGUE, Code, InterpretedType, Structure

STANDARD = {"SCT", "DCM", "UCUM", "LN"}
NAMED = {
    name: value
    for name, value in vars(concepts).items()
    if isinstance(value, Code) and value.scheme in STANDARD
}


def is_known(code: Code) -> bool:
    """Whether pydicom's copy of PS3.16 has the code with this very meaning."""
    return any(
        code.value in entries and entries[code.value][0] == code.meaning
        for entries in _concepts_dict.concepts[code.scheme].values()
    )


@pytest.mark.parametrize("code", [*NAMED.values(), *(s.snomed for s in CATALOGUE.values() if s.snomed)])
def test_every_code_of_the_standard_is_in_the_standard(code: Code) -> None:
    assert is_known(code), code


def test_every_structure_of_the_catalogue_that_is_mapped_means_the_same() -> None:
    meant = {code: property_of(CATALOGUE[code]) for code in CATALOGUE}
    assert meant["Parotid_R"].laterality == concepts.RIGHT
    assert meant["Parotid_L"].laterality == concepts.LEFT
    for code in ("Larynx", "Mandible", "Esophagus"):
        assert meant[code].type.meaning == code
    assert meant["Femur_Head_L"].type.meaning == "Femoral head"
    assert meant["Femur_Head_L"].laterality == concepts.LEFT
    assert meant["V_Iliac_R"].laterality == concepts.RIGHT, "also where the concept is SNOMED CT's own"
    assert meant["Atrium_L"].laterality is None, "the code itself is the left atrium"
    targets = {"GTV", "CTV", "PTV"}
    for code, found in meant.items():
        is_target = CATALOGUE[code].interpreted_type.value in targets
        assert (found.category == concepts.ANATOMICAL_STRUCTURE) is not is_target


def structure(kind: InterpretedType, concept: Code | None) -> Structure:
    return Structure(
        code="Thing", name="Thing_1", colour_rgb=(1, 2, 3), interpreted_type=kind, concept=concept
    )


def test_a_code_that_is_not_mapped_goes_out_as_the_catalogue_has_it() -> None:
    own = Code(value="7203", scheme="FMA", meaning="Kidney")
    assert property_of(structure(InterpretedType.ORGAN, own)).type == own


def test_no_code_is_guessed() -> None:
    found = property_of(structure(InterpretedType.ORGAN, None)).type
    assert found == Code(value="Thing", scheme=PRIVATE_SCHEME, meaning="Thing_1")


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (InterpretedType.EXTERNAL, "Anatomical Structure"),
        (InterpretedType.GTV, "Morphologically Abnormal Structure"),
        (InterpretedType.CTV, "Spatial and Relational Concept"),
        (InterpretedType.CAVITY, "Anatomical Structure"),
        (InterpretedType.FIXATION, "Physical object"),
        (InterpretedType.BRACHY_CHANNEL, "Physical object"),
        (InterpretedType.CONTROL, "Spatial and Relational Concept"),
    ],
)
def test_the_category_follows_the_type(kind: InterpretedType, category: str) -> None:
    found = property_of(structure(kind, None))
    assert found.category.meaning == category
    assert found.is_anatomy is (category == "Anatomical Structure")


def test_codes_are_compared_as_the_standard_does() -> None:
    assert concepts.coded(concepts.VOLUME) == StandardCode("118565006", "SCT", "Volume")

from imaging.structures import CATALOGUE


def test_the_first_models_structures_are_there_in_order() -> None:
    codes = ["Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus"]
    assert list(CATALOGUE) == codes
    assert CATALOGUE["Mandible"].name == "Bone_Mandible"


def test_names_fit_into_every_planning_system_and_tell_structures_apart() -> None:
    names = [structure.name for structure in CATALOGUE.values()]
    assert all(1 <= len(name) <= 16 and name.isascii() and name == name.strip() for name in names)
    assert len({name.casefold() for name in names}) == len(names)
    assert len({structure.colour_rgb for structure in CATALOGUE.values()}) == len(names)
    assert all(code == structure.code for code, structure in CATALOGUE.items())

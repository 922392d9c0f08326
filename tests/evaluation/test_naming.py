import pytest

from evaluation.naming import common_name, pair_names


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [
        ("Mandible", "Bone_Mandible", "Bone_Mandible"),
        ("RightParotid", "Parotid_R", "Parotid_R"),
        ("Myelon", "SpinalCord", "SpinalCord"),
        ("PTV_70", "ptv70", "ptv70"),
        ("Lt Eye", "Eye_L", "Eye_L"),
        ("GTV-1", "GTV_1", "GTV_1"),
        ("食道", "食道", "食道"),
    ],
)
def test_one_structure_under_two_names(ours: str, theirs: str, name: str) -> None:
    pairing = pair_names([ours], [theirs])
    assert dict(pairing.pairs) == {name: (ours, theirs)}
    assert pairing.unmatched == pairing.unmatched_reference == ()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Parotid_L", "Parotid_R"),
        ("Eye_L", "Eye_R"),
        ("Eye", "Eye_L"),
        ("PTV56", "PTV63"),
        ("SpinalCord", "SpinalCord_PRV5"),
        ("食道", "喉"),
        ("Brainsten", "Brainstem"),  # merely similar: for a person to pair
    ],
)
def test_two_structures(ours: str, theirs: str) -> None:
    pairing = pair_names([ours], [theirs])
    assert dict(pairing.pairs) == {}
    assert (pairing.unmatched, pairing.unmatched_reference) == ((ours,), (theirs,))


def test_a_person_may_pair_names() -> None:
    pairing = pair_names(["Hirnst.", "Larynx"], ["Brainstem", "Larynx"], {"Hirnst.": "Brainstem"})
    assert dict(pairing.pairs) == {"Brainstem": ("Hirnst.", "Brainstem"), "Larynx": ("Larynx", "Larynx")}


def test_two_names_of_one_set_for_one_structure() -> None:
    same = pair_names(["SpinalCord", "Cord"], ["SpinalCord"])
    assert dict(same.pairs) == {"SpinalCord": ("SpinalCord", "SpinalCord")}
    assert same.unmatched == ("Cord",)
    unclear = pair_names(["Myelon", "Cord"], ["SpinalCord"])
    assert dict(unclear.pairs) == {}
    assert (unclear.unmatched, unclear.unmatched_reference) == (("Cord", "Myelon"), ("SpinalCord",))
    assert unclear.notes == ("Myelon, Cord and SpinalCord seem to mean one structure; not compared",)


def test_what_the_catalogue_does_not_know_keeps_its_name() -> None:
    assert common_name("PTV70") == "PTV70"
    assert common_name("cord") == "SpinalCord"

"""The catalogue's data: what a model may rely on, and that no entry contradicts another."""

import re
from itertools import combinations

from imaging.structures import CATALOGUE, TOTALSEGMENTATOR, Laterality

SOARS = (
    ("Brainstem", "Cerebellum", "Eye_L", "Eye_R", "Mandible_L", "Mandible_R", "SpinalCord", "Joint_TM_L", "Joint_TM_R"),
    ("BrachialPlex_L", "BrachialPlex_R", "BasalGanglia_L", "BasalGanglia_R", "Musc_Constrict_I", "Musc_Constrict_M",
     "Musc_Constrict_S", "Epiglottis", "Esophagus", "Larynx_GSL", "Cavity_Oral", "Parotid_L", "Parotid_R",
     "Glnd_Submand_L", "Glnd_Submand_R", "Lobe_Temporal_L", "Lobe_Temporal_R", "Glnd_Thyroid_L", "Glnd_Thyroid_R"),
    ("Cochlea_L", "Cochlea_R", "Hypothalmus", "Ear_Internal_L", "Ear_Internal_R", "Glnd_Lacrimal_L",
     "Glnd_Lacrimal_R", "Lens_L", "Lens_R", "OpticNrv_L", "OpticNrv_R", "OpticChiasm", "Pineal", "Pituitary"),
)  # fmt: skip
PELVIS_AND_CHEST = (
    "GTV", "CTV", "Bladder", "Femur_Head_L", "Femur_Head_R", "Bowel_Small", "Rectum", "Colon_Sigmoid", "Lung_L",
    "Lung_R", "Heart", "Uterus", "Cervix", "Vagina",
)  # fmt: skip


def test_the_first_models_structures_are_there_in_order() -> None:
    codes = ["Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus"]
    assert list(CATALOGUE)[:7] == codes
    assert CATALOGUE["Mandible"].name == "Bone_Mandible"


def test_the_five_studies_structures_are_there() -> None:
    assert [len(stratum) for stratum in SOARS] == [9, 19, 14]
    assert {code for stratum in SOARS for code in stratum} <= set(CATALOGUE)
    assert set(PELVIS_AND_CHEST) <= set(CATALOGUE)


def test_names_fit_into_every_planning_system_and_tell_structures_apart() -> None:
    names = [structure.name for structure in CATALOGUE.values()]
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,16}", name) for name in names)
    assert len({name.casefold() for name in names}) == len(names)
    assert all(code == structure.code for code, structure in CATALOGUE.items())
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,64}", code) for code in CATALOGUE), "as contracts write them"


def test_colours_can_be_told_apart_and_seen() -> None:
    colours = [structure.colour_rgb for structure in CATALOGUE.values()]
    for one, other in combinations(colours, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) >= 100, (one, other)
    assert all(0 <= channel <= 255 for colour in colours for channel in colour)
    assert all(sum(colour) > 250 for colour in colours)


def test_partners_change_places_and_lie_on_the_sides_that_their_names_state() -> None:
    paired = [structure for structure in CATALOGUE.values() if structure.partner is not None]
    assert len(paired) == 2 * len({frozenset((s.code, s.partner)) for s in paired}) >= 80
    for structure in paired:
        partner = CATALOGUE[structure.partner or ""]
        assert partner.partner == structure.code
        assert structure.code[-1] == structure.name[-1] == str(structure.laterality)
        assert {structure.laterality, partner.laterality} == set(Laterality)
        assert structure.snomed == partner.snomed, "the side is not in the code"


def test_codes_are_used_once_and_name_no_other_side() -> None:
    fma = [s.concept.value for s in CATALOGUE.values() if s.concept and s.concept.scheme == "FMA"]
    assert len(set(fma)) == len(fma) > 160
    for structure in CATALOGUE.values():
        words = re.findall("[a-z]+", structure.concept.meaning.casefold()) if structure.concept else []
        if structure.laterality is not None:
            assert {"L": "right", "R": "left"}[structure.laterality] not in words, structure
        assert structure.concept is None or len(structure.concept.meaning) <= 64


def both(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("left", "right")]


def test_every_class_of_totalsegmentators_task_total_is_a_structure() -> None:
    """The 117 classes of its version 2, by their own names."""
    total = [
        *["spleen", "gallbladder", "liver", "stomach", "pancreas", "esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon", "urinary_bladder", "prostate", "sacrum", "heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk", "atrial_appendage_left", "superior_vena_cava", "inferior_vena_cava", "portal_vein_and_splenic_vein", "spinal_cord", "brain", "skull", "sternum", "costal_cartilages", "lung_middle_lobe_right"],
        *both("kidney", "adrenal_gland", "lung_upper_lobe", "lung_lower_lobe", "kidney_cyst", "subclavian_artery",
              "common_carotid_artery", "brachiocephalic_vein", "iliac_artery", "iliac_vena", "humerus", "scapula",
              "clavicula", "femur", "hip", "gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon",
              "iliopsoas"),
        *(f"rib_{side}_{i}" for side in ("left", "right") for i in range(1, 13)),
        *(f"vertebrae_{v}{i}" for v, n in (("C", 7), ("T", 12), ("L", 5), ("S", 1)) for i in range(1, n + 1)),
    ]  # fmt: skip
    assert len(set(total)) == 117
    assert [name for name in total if name not in TOTALSEGMENTATOR] == []
    assert CATALOGUE[TOTALSEGMENTATOR["hip_left"]].name == "Bone_Pelvic_L"
    assert CATALOGUE[TOTALSEGMENTATOR["small_bowel"]].name == "Bowel_Small"
    assert len({TOTALSEGMENTATOR[name] for name in total}) == len(total)


def test_names_that_tg263_lacks_are_marked() -> None:
    lacking = {code for code, structure in CATALOGUE.items() if not structure.is_tg263}
    assert {"Mandible_L", "BasalGanglia_R", "Larynx_GSL", "Epiglottis", "Glnd_Thyroid_L"} <= lacking
    assert not {"Brainstem", "Mandible", "Femur_Head_L", "GTV", "Hypothalmus"} & lacking

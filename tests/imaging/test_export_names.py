import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imaging.errors import StructureSetNotWritable
from imaging.export.names import assigned_names, marks_of, plain, shortened, spelling, tidy

WORDS = st.sampled_from(
    [
        *(
            "Submandibular",
            "Gland",
            "Parotid",
            "Lens",
            "Region",
            "OpticNrv",
            "plexus",
            "deep_lobe",
            "of_interest",
        ),
        *("left", "Right", "L", "R", "lt", "RT", "links", "rechts", "PRV", "PRV05", "prv5mm"),
        *("3mm", "7000", "70Gy", "L5", "v2", "CTV"),
    ]
)
NAMES = st.lists(WORDS, min_size=1, max_size=6).flatmap(
    lambda words: st.sampled_from(["_", " ", ""]).map(lambda joint: joint.join(words))
)


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("Parotid_L", "Parotid_L"),
        ("Glandula_submandibularis_L", "Glandula_subma_L"),
        ("Glandula_submandibularis_R", "Glandula_subma_R"),
        ("Submandibular_Gland_Left_PRV05", "Subma_Left_PRV05"),
        ("SubmandibularGlandRight", "SubmandibulRight"),
        ("Left brachial plexus contoured", "Left brachial pl"),
        ("Brachial_L_plexus_contoured", "Brachial_L_plexu"),
        ("Brachialplexus_contoured_L_by_hand", "Brachialplexus_L"),
        ("SpinalCord_PRV05mm_extended", "SpinalCord_PRV05"),
        ("Parotis rechts lang und breit", "Parotis rechts"),
        ("Vertebra_body_level_L5", "Vertebra_body_L5"),
        ("PTV_HighRisk_70000_extended", "PTV_HighRisk"),
        ("Postoperative_RT_dose_region", "Postoperative"),
        ("Ganglions_cervicaux_G", "Ganglions_cerv_G"),
        ("Glande lacrymale G", "Glande lacryma_L"),
    ],
)
def test_sixteen_characters(name: str, short: str) -> None:
    assert shortened(name, 16) == short


def test_a_cut_never_makes_up_a_side() -> None:
    assert marks_of(shortened("Lens_Region_of_interest", 12)).sides == frozenset()
    assert shortened("SuperiorRectusMuscle", 12) == "SuperiorRect"


def test_both_sides_never_collide() -> None:
    left, right = (f"Musculus_constrictor_pharyngis_{side}" for side in ("Left", "Right"))
    assert assigned_names([left, right], 16) == ["Musculus_co_Left", "Musculus_c_Right"]


def test_equal_names_are_numbered_and_those_that_fit_stay() -> None:
    names = ["A" * 20, "A" * 16, "heart", "Heart", "Parotid_L", "parotid_l"]
    assert assigned_names(names, 16) == [
        "A" * 15 + "2",
        "A" * 16,
        "heart",
        "Heart2",
        "Parotid_L",
        "parotid2_l",
    ]


@given(names=st.lists(NAMES, min_size=1, max_size=12), limit=st.integers(16, 64))
@example(names=["left" * 5, "L_" * 12, "R L PRV05 PRV05 7000"], limit=16)
@settings(max_examples=300, deadline=None)
def test_any_names(names: list[str], limit: int) -> None:
    assigned = assigned_names(names, limit)
    assert all(0 < len(name) <= limit for name in assigned)
    assert len({name.casefold() for name in assigned}) == len(names)
    assert [marks_of(name) for name in assigned] == [marks_of(name) for name in names]


@given(
    names=st.lists(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), min_size=1), max_size=6)
)
@settings(max_examples=100, deadline=None)
def test_any_text(names: list[str]) -> None:
    cleaned = [name.strip() or "x" for name in names]
    try:
        assigned = assigned_names(cleaned, 16)
    except StructureSetNotWritable:
        return
    assert len({name.casefold() for name in assigned}) == len(names)


def test_a_name_of_marks_alone_is_refused_where_they_do_not_fit() -> None:
    with pytest.raises(StructureSetNotWritable, match="give a shorter one"):
        shortened("PRV123456789012345", 16)


def test_plain_and_tidy() -> None:
    assert plain("Łódź Ohrspeicheldrüse\n") == "Lodz Ohrspeicheldruse_"
    assert plain("耳下腺_L") == "____L"
    assert tidy(" a\\b\tc ") == "a_b_c"


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("耳下腺_L", "Parotid_L", "Parotid_L"),
        ("Околоушная_L", "Parotid_L", "Parotid_L"),
        ("Παρωτίδα_L", "Parotid_L", "Parotid_L"),
        ("이하선_L", "Parotid_L", "Parotid_L"),
        ("左耳下腺", "Parotid_L", "Parotid_L"),
        ("脊髄 1", "SpinalCord", "SpinalCord"),
        ("脊髄 PRV05", "SpinalCord", "SpinalCord_PRV05"),
        ("喉頭 5mm", "Larynx", "Larynx_5mm"),
        ("Żuchwa", "Bone_Mandible", "Zuchwa"),
        ("Prüfung", "Larynx", "Prufung"),
    ],
)
def test_a_name_in_another_alphabet_is_the_catalogues(name: str, known: str, expected: str) -> None:
    assert spelling(name, plain(name), known) == expected


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("喉頭", "声帯", "HouTou"),
        ("左肺門", "肺門", "ZuoFeiMen_L"),
        ("Правая доля", "Доля", "Pravaya dolya_R"),
        ("後頭葉 PRV05", "後頭葉", "HouTouYe PRV05"),
    ],
)
def test_a_name_that_the_catalogue_has_in_no_plain_letters_is_transliterated(
    name: str, known: str, expected: str
) -> None:
    assert spelling(name, plain(name), known) == expected


@pytest.mark.parametrize(
    ("name", "known"),
    [("耳下腺_L", "Parotid_R"), ("правая околоушная", "Parotid_L"), ("\ue000", "声帯"), ("_", "声帯")],
)
def test_a_name_that_nothing_plain_can_stand_for_is_refused(name: str, known: str) -> None:
    with pytest.raises(StructureSetNotWritable, match="give a name in plain letters"):
        spelling(name, plain(name), known)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("Parotide G", "L"),
        ("Parotide D", "R"),
        ("Parotide gauche", "L"),
        ("左", "L"),
        ("右耳下腺", "R"),
        ("левая почка", "L"),
        ("Почка правая", "R"),
        ("Riñón izquierdo", "L"),
        ("Parotide destra", "R"),
        ("høyre nyre", "R"),
        ("왼쪽 이하선", "L"),
        ("G", None),
        ("GTV", None),
        ("Dose", None),
        ("Dose_D", None),
        ("Ring D", None),
        ("Rein G", "L"),
    ],
)
def test_sides_in_other_languages(name: str, side: str | None) -> None:
    assert marks_of(name).sides == (frozenset() if side is None else {side})

import pytest

from imaging.sides import Side, bare, parts, sides_of

LEFT, RIGHT = frozenset({Side.LEFT}), frozenset({Side.RIGHT})


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("Parotid_L", LEFT),
        ("Parotid_R", RIGHT),
        ("Parotis links", LEFT),
        ("Parotis_re", RIGHT),
        ("Rt Parotid", RIGHT),
        ("LeftParotid", LEFT),
        ("Glnd_Lacrimal_L_PRV03", LEFT),
        ("Right parotid gland", RIGHT),
        ("Parotids", frozenset()),
        ("Larynx", frozenset()),
        ("Rectum", frozenset()),
        ("Lips", frozenset()),
        ("Parotid_L+R", LEFT | RIGHT),
    ],
)
def test_a_side_is_a_word_of_its_own(name: str, sides: frozenset[Side]) -> None:
    assert sides_of(name) == sides


def test_names_are_split_at_case_underline_and_digits() -> None:
    assert parts("PRV_SpinalCord5") == ("prv", "spinal", "cord", "5")
    assert parts("Rückenmark") == ("rückenmark",)
    assert bare("Parotis_links") == bare("PAROTIS li") == "parotis"

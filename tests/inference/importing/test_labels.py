"""The table of names: what is recognised, what stays the maker's own, what an edited table may say."""

from pathlib import Path

import pytest

from imaging.structures import CATALOGUE
from inference.errors import ImportRefused
from inference.importing.labels import (
    left_right_pairs,
    proposed,
    read_table,
    shortened,
    structure_entries,
    write_table,
)


def test_names_are_recognised_by_what_is_certain_alone() -> None:
    rows = proposed(
        ["Parotid_L", "parotid_gland_right", "right lung lower lobe thing", "Parotidd_R", "spinal_cord"]
    )
    assert [row.code for row in rows] == [
        "Parotid_L",
        "Parotid_R",
        "right_lung_lower_lobe_thing",
        "Parotidd_R",
        "SpinalCord",
    ]
    assert [row.is_own for row in rows] == [False, False, True, True, False]


def test_two_labels_never_share_a_code_or_a_name() -> None:
    labels = [
        "Parotid_L",
        "parotid left",
        "a very long name of a thing 1",
        "a very long name of a thing 2",
        "a/b",
        "a b",
    ]
    rows = proposed(labels)
    assert len({row.code for row in rows}) == len({row.name for row in rows}) == len(labels)
    assert all(len(row.name) <= 16 for row in rows)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("scapula_left_upper_part", "scap_uppe_part_L"),
        ("vertebra number 12", "verteb_number_12"),
        ("left thigh medial compartment", "thig_medi_comp_L"),
        ("a b c d e f g h i j k m n o p q 7", "a_b_c_d_7"),
        ("glioblastoma_multiforme", "glioblas_multifo"),
        ("thoracolumbosacral", "thoracolumbosacr"),
        ("x", "x"),
    ],
)
def test_a_name_that_is_cut_keeps_its_words_its_side_and_its_number(label: str, name: str) -> None:
    assert shortened(label) == name


def test_a_table_is_written_edited_and_read(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    write_table(table, proposed(["Parotid_L", "thing_left", "thing_right"]))
    table.write_text(table.read_text().replace("Parotid_L,Parotid_L", "Parotid_L,"))
    rows = read_table(table, ["Parotid_L", "thing_left", "thing_right"])
    assert [row.code for row in rows] == ["", "thing_left", "thing_right"]
    assert [entry["code"] for entry in structure_entries(rows)] == ["thing_left", "thing_right"]
    assert left_right_pairs(rows) == [("thing_left", "thing_right")]
    with pytest.raises(FileExistsError):
        write_table(table, rows)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Parotid_L,Parotid_R,,", "the other side"),
        ("Parotid_L,a b,,", "does not consist of letters"),
        ("Parotid_L,own,,", "its name must have"),
        ("Parotid_L,own,a name that is much too long,", "its name must have"),
        ("Parotid_R,Parotid_R,,", "one line for each label"),
        ("Parotid_L,,,", "no structure is left"),
    ],
)
def test_a_table_that_is_wrong_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(f"label,code,name,recognised\n{line}\n")
    with pytest.raises(ImportRefused, match=reason):
        read_table(table, ["Parotid_L"])


def test_every_code_of_the_catalogue_is_proposed_for_itself() -> None:
    rows = proposed(list(CATALOGUE))
    assert [row.code for row in rows] == list(CATALOGUE)

"""Every task of TotalSegmentator: what its labels are called here, and that their numbers say what they mean."""

from pathlib import Path
from typing import Any

import pytest

from imaging.sides import sides_of
from imaging.structures import CATALOGUE, TOTALSEGMENTATOR
from inference.errors import ImportRefused
from inference.importing import totalsegmentator
from inference.importing.draft import ImportDraft
from inference.importing.labels import LabelRow, left_right_pairs, proposed
from inference.importing.sources import opened
from inference.importing.totalsegmentator import read_totalsegmentator, task_labels
from tests.support.nnunet_models import make_trained

ROWS = [(row["task"], row["mode"]) for row in totalsegmentator._table(totalsegmentator._TASKS)]
HEAD_AND_NECK = (
    "head_glands_cavities", "headneck_bones_vessels", "head_muscles", "headneck_muscles", "oculomotor_muscles",
    "craniofacial_structures", "teeth", "brain_structures", "ventricle_parts",
)  # fmt: skip
# Delivered under their own names: words that mean something else in another model.
UNMAPPED = {"head", "bridge", "crown", "implant", "ventricle"}


def delivered(task: str, mode: str = "default") -> list[str]:
    tables = task_labels(task)
    chosen = [tables[dataset] for dataset in totalsegmentator.task_row(task, mode)["datasets"].split()]
    return [name for names, left_out in chosen for name in names if name not in left_out]


def rows_of(task: str, mode: str = "default") -> tuple[LabelRow, ...]:
    return proposed(delivered(task, mode))


def side_of(label: str) -> set[str]:
    return set() if label.startswith("vertebrae_") else {side[0].upper() for side in sides_of(label)}


def side_goes_out(row: LabelRow) -> set[str]:
    laterality = None if row.is_own else CATALOGUE[row.code].laterality
    return side_of(row.name) if row.is_own else {str(laterality)} if laterality else set()


@pytest.mark.parametrize(("task", "mode"), ROWS)
def test_each_label_of_a_task_has_a_name_of_its_own_and_of_its_side(task: str, mode: str) -> None:
    rows = rows_of(task, mode)
    assert len({row.code for row in rows}) == len({row.name for row in rows}) == len(rows) > 0
    assert all(1 <= len(row.name) <= 16 for row in rows)
    lone = (
        "atrial_appendage_left",
        "left_ventricular_outflow_tract",
        "lung_upper_lobe",
        "lung_middle",
        "lung_lower_lobe",
    )
    sided = [row for row in rows if side_of(row.label) and not row.label.startswith(lone)]
    assert [row.label for row in sided if side_of(row.label) != side_goes_out(row)] == []
    paired = {code for pair in left_right_pairs(rows) for code in pair}
    assert [row.label for row in sided if row.code not in paired] == []


@pytest.mark.parametrize("task", HEAD_AND_NECK)
def test_head_and_neck_tasks_go_out_under_names_of_the_catalogue(task: str) -> None:
    assert {row.label for row in rows_of(task) if row.is_own} <= UNMAPPED


def test_names_are_tg263s_where_it_has_one_and_the_table_says_where_not() -> None:
    rows = {row.label: row for task in HEAD_AND_NECK for row in rows_of(task)}
    assert {label: rows[label].name for label in EXPECTED} == EXPECTED
    assert all("TG-263 has none" not in rows[label].recognised for label in EXPECTED)
    for label in (
        "trapezius_left",
        "upper_right_canine_fdi13",
        "medial_rectus_muscle_left",
        "styloid_process_right",
    ):
        assert "TG-263 has none" in rows[label].recognised
    assert rows["upper_right_canine_fdi13"].name == "Tooth_13_R"
    assert CATALOGUE["Tooth_13_R"].partner == "Tooth_23_L"


# As in the table of TG-263.
EXPECTED = {
    "masseter_right": "Musc_Masseter_R", "temporalis_left": "Musc_Temporal_L", "lateral_pterygoid_left": "Pterygoid_Lat_L",
    "medial_pterygoid_right": "Pterygoid_Med_R", "digastric_left": "Musc_Digastric_L", "tongue": "Tongue",
    "sternocleidomastoid_right": "Musc_Sclmast_R", "platysma_left": "Musc_Platysma_L", "hyoid": "Bone_Hyoid",
    "superior_pharyngeal_constrictor": "Musc_Constrict_S", "thyroid_cartilage": "Cartlg_Thyroid",
    "cricoid_cartilage": "Cricoid", "internal_jugular_vein_left": "V_Jugular_Int_L", "eyeball_left": "Eye_L",
    "eye_lens_right": "Lens_R", "optic_nerve_right": "OpticNrv_R", "parotid_gland_left": "Parotid_L",
    "submandibular_gland_right": "Glnd_Submand_R", "hypopharynx": "Laryngl_Pharynx", "soft_palate": "Palate_Soft",
    "hard_palate": "Hardpalate", "sinus_maxillary": "Sinus_Maxilry", "left_maxillary_sinus": "Sinus_Maxilry_L",
    "sinus_frontal": "Sinus_Frontal", "mandible": "Bone_Mandible", "lower_jawbone": "Bone_Mandible",
    "upper_jawbone": "Maxilla", "frontal_lobe": "Lobe_Frontal",
}  # fmt: skip


def test_the_catalogue_names_no_label_that_no_task_has() -> None:
    known = {name for task, _ in ROWS for names, _ in task_labels(task).values() for name in names}
    elsewhere = {
        "heart_atrium_left",
        "heart_atrium_right",
        "heart_ventricle_left",
        "heart_ventricle_right",
        "pulmonary_artery",
    }
    assert set(TOTALSEGMENTATOR) - known - elsewhere == set()


def imported(tmp_path: Path, task: str, dataset: int, labels: dict[str, int]) -> ImportDraft:
    how: dict[str, Any] = {"configuration": totalsegmentator.task_row(task, "default")["configuration"]}
    make_trained(
        tmp_path / "in", labels={"background": 0, **labels}, dataset_name=f"Dataset{dataset:03d}_x", **how
    )
    (tmp_path / "out").mkdir()
    with opened(tmp_path / "in", tmp_path) as source:
        return read_totalsegmentator(source, {"task": task}, tmp_path / "out")


def test_the_number_of_a_label_says_what_it_is_whatever_the_weights_call_it(tmp_path: Path) -> None:
    """As in TotalSegmentator itself: its oculomotor_muscles has numbers whose training labels lay on the other side."""
    draft = imported(tmp_path, "craniofacial_structures", 115, {"skull": 1, "teeth_lower": 2, "mandible": 3})
    assert [(label.name, label.selects) for label in draft.labels] == [
        ("mandible", {"part": 0, "values": [1]}),
        ("teeth_lower", {"part": 0, "values": [2]}),
        ("skull", {"part": 0, "values": [3]}),
    ]
    (warning,) = (line for line in draft.warnings if "numbers of labels" in line)
    assert "mandible (number 1, skull)" in warning
    assert "skull (number 3, mandible)" in warning
    assert "4 labels of dataset 115 that the weights lack" in warning
    assert [part["mirror_axes"] for part in draft.runtime["parts"]] == [[]]
    assert "no mirrored passes" in draft.facts[-1], (
        "as TotalSegmentator runs it, whatever the trainer allowed"
    )


def test_labels_that_only_helped_the_training_are_left_out(tmp_path: Path) -> None:
    labels = {"kidney_cyst_left": 1, "kidney_cyst_right": 2, "kidney_left": 3}
    draft = imported(tmp_path, "kidney_cysts", 789, labels)
    assert [label.name for label in draft.labels] == ["kidney_cyst_left", "kidney_cyst_right"]


def test_weights_with_labels_of_their_own_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ImportRefused, match=r"Dataset260: .*mine = 2 is none of the 1 labels.*imported as nnunet"
    ):
        imported(tmp_path, "hip_implant", 260, {"hip_implant": 1, "mine": 2, "more": 3})

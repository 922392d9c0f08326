"""A model's answers beside its maker's: who belongs to whom, what a label means, and what differs."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.errors import EvaluationRefused
from evaluation.maker_answers import answer_rows, own_values, read_answer, read_image
from evaluation.maker_pairs import maker_pairs
from imaging.volumes.volume import Mask, Masks
from inference.contract import ModelContract
from tests.evaluation.sets import disc, write_ct, write_nifti, write_rtstruct
from tests.imaging.structure_sets import SHAPE, ct_series
from tests.support.models import contract_document
from tests.support.nnunet_models import definition

CODES = ("Parotid_L", "Parotid_R", "Mandible")
GRID = ct_series().volume.grid


def contract() -> ModelContract:
    """An nnU-Net of one part that writes 1, 2 and 3."""
    part = {
        "architecture": "plain_conv_unet",
        "parameters": definition(3, False, 4).parameters,
        "folds": ["weights.safetensors"],
        "patch": [12, 16, 16],
        "spacing_mm": [2.5, 2.0, 2.0],
        "normalisation": {"scheme": "CTNormalization"},
        "image": {"order": 3},
        "logits": {"order": 1},
        "heads": [0, 1, 2, 3],
    }
    structures = [{"values": [value]} for value in (1, 2, 3)]
    runtime = {"kind": "nnunet", "parts": [part], "structures": structures, "axes": "LPS"}
    return ModelContract.model_validate({**contract_document("tiny", CODES), "runtime": runtime})


def label_map(**voxels: int) -> NDArray[np.uint8]:
    array = np.zeros(SHAPE, np.uint8)
    array[disc()] = voxels.get("disc", 1)
    array[0, 0, : voxels.get("corner", 2)] = 2
    return array


def touch(*files: Path) -> None:
    for file in files:
        write_nifti(file, label_map())


def test_images_and_answers_are_paired_by_name(tmp_path: Path) -> None:
    images, against = tmp_path / "images", tmp_path / "against"
    touch(images / "liver_1_0000.nii.gz", images / "liver_12_0000.nii.gz")
    touch(against / "liver_1.nii.gz", against / "liver_12_trans.nii.gz")
    pairs = {pair.name: pair.reference.name for pair in maker_pairs(images, against)}
    assert pairs == {"liver_1": "liver_1.nii.gz", "liver_12": "liver_12_trans.nii.gz"}


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    images, against = tmp_path / "images", tmp_path / "against"
    touch(images / "a.nii.gz", images / "b.nii.gz", against / "a.nii.gz")
    with pytest.raises(EvaluationRefused, match="no answer for b of"):
        maker_pairs(images, against)
    touch(against / "b.nii.gz", against / "c.nii.gz")
    with pytest.raises(EvaluationRefused, match=r"no image for the answers c\.nii\.gz"):
        maker_pairs(images, against)
    (against / "c.nii.gz").unlink()
    (against / "b.nii.gz").rename(against / "b_1.nii.gz")
    touch(against / "b_2.nii.gz")
    with pytest.raises(EvaluationRefused, match="all begin with the image's name b"):
        maker_pairs(images, against)
    touch(images / "a_0001.nii.gz")
    with pytest.raises(EvaluationRefused, match="second channel"):
        maker_pairs(images, against)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationRefused, match="no images"):
        maker_pairs(tmp_path / "empty", against)
    (images / "a_0001.nii.gz").unlink()
    with pytest.raises(EvaluationRefused, match="no such folder"):
        maker_pairs(images, tmp_path / "absent")


def test_series_are_paired_by_folder_or_by_what_a_structure_set_refers_to(tmp_path: Path) -> None:
    write_ct(tmp_path / "images" / "p1")
    touch(tmp_path / "named" / "p1.nii.gz")
    (pair,) = maker_pairs(tmp_path / "images", tmp_path / "named")
    assert (pair.name, pair.reference.name, len(pair.files)) == ("p1", "p1.nii.gz", SHAPE[0])
    write_rtstruct(tmp_path / "sets" / "rs.dcm")
    (pair,) = maker_pairs(tmp_path / "images", tmp_path / "sets")
    assert pair.reference.name == "rs.dcm"
    write_rtstruct(tmp_path / "sets" / "rs2.dcm")
    with pytest.raises(EvaluationRefused, match="both refer to the series"):
        maker_pairs(tmp_path / "images", tmp_path / "sets")


def test_one_image_takes_a_whole_folder_of_masks(tmp_path: Path) -> None:
    touch(tmp_path / "images" / "ct.nii.gz")
    for name in ("parotid_gland_left", "Parotid_R"):
        write_nifti(tmp_path / "masks" / f"{name}.nii.gz", disc().astype(np.uint8))
    (pair,) = maker_pairs(tmp_path / "images", tmp_path / "masks")
    assert pair.reference == tmp_path / "masks"
    answer = read_answer(pair.reference, GRID, contract(), {"parotid_gland_left": "Parotid_L"})
    assert set(answer.masks) == {"Parotid_L", "Parotid_R"}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, {"Parotid_L": "disc", "Parotid_R": "corner"}),
        ({"background": 0, "Parotid_R": 1, "Parotid_L": 2}, {"Parotid_R": "disc", "Parotid_L": "corner"}),
        (
            {"background": 0, "Mandible": [1, 2], "Parotid_L": 2},
            {"Mandible": "both", "Parotid_L": "corner"},
        ),
    ],
    ids=["the model's own values", "names beside it", "a region"],
)
def test_what_a_label_map_means(
    tmp_path: Path, labels: Mapping[str, object] | None, expected: Mapping[str, str]
) -> None:
    written = label_map()
    file = write_nifti(tmp_path / "case.nii.gz", written)
    if labels is not None:
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    answer = read_answer(file, GRID, contract(), {})
    masks = {code: mask.full(SHAPE) for code, mask in answer.masks.items() if mask.crop_zyx.any()}
    truth = {"disc": written == 1, "corner": written == 2, "both": written > 0}
    assert masks.keys() == expected.keys()
    for code, what in expected.items():
        # written with rows of the patient's x and y as the CT has them: the grid is canonical already
        np.testing.assert_array_equal(masks[code], truth[what])


def test_a_label_that_the_model_has_not_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "case.nii.gz", label_map())
    (tmp_path / "labels.json").write_text(json.dumps({"labels": {"Parotid_L": 1, "blob": 2, "absent": 9}}))
    with pytest.raises(EvaluationRefused, match=r"blob: no structure of tiny .*--same LABEL=CODE"):
        read_answer(file, GRID, contract(), {})
    assert set(read_answer(file, GRID, contract(), {"blob": ""}).masks) == {"Parotid_L"}
    answer = read_answer(file, GRID, contract(), {"blob": "Mandible"})
    assert answer.masks["Mandible"].voxels() == 2
    with pytest.raises(EvaluationRefused, match="tiny has no structure Blob"):
        read_answer(file, GRID, contract(), {"blob": "Blob"})
    (tmp_path / "labels.json").write_text(json.dumps({"labels": {"Parotid_L": 1}}))
    with pytest.raises(EvaluationRefused, match="value 2 has no name in the labels beside it"):
        read_answer(file, GRID, contract(), {})
    (tmp_path / "labels.json").unlink()
    write_nifti(file, label_map(disc=7))
    with pytest.raises(EvaluationRefused, match="value 7 has no name among Parotid_L"):
        read_answer(file, GRID, contract(), {})


def test_voxels_are_counted_and_another_grid_is_refused(tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "case.nii.gz", label_map())
    reference = read_answer(file, GRID, contract(), {})
    ours = label_map() == 1
    ours[0, 0, 3] = True
    empty = np.zeros(SHAPE, bool)
    by_code = {"Parotid_L": Mask.from_full(ours), "Parotid_R": Mask.from_full(empty)}
    rows = answer_rows(
        "case", Masks(grid=GRID, by_code={**by_code, "Mandible": by_code["Parotid_R"]}), reference
    )
    n = int(disc().sum())
    assert [(row.code, row.differing_voxels, row.reference_voxels) for row in rows] == [
        ("Parotid_L", 1, n),
        ("Parotid_R", 2, 2),
        ("Mandible", 0, 0),
    ]
    assert rows[0].dice == pytest.approx(2 * n / (2 * n + 1))
    assert (rows[1].dice, rows[2].dice) == (0.0, None)
    assert [round(row.differing_percent, 3) for row in rows] == [round(100 / n, 3), 100.0, 0.0]
    moved = GRID.__class__(**{**vars(GRID), "origin_lps": (0.3, 20.5, -7.5)})
    with pytest.raises(EvaluationRefused, match="do not coincide"):
        answer_rows("case", Masks(grid=moved, by_code=by_code), reference)


def test_images_are_read_as_the_model_takes_them(tmp_path: Path) -> None:
    file = write_nifti(tmp_path / "image.nii.gz", np.full(SHAPE, 40.6, np.float32))
    volume, rounded = read_image(file, is_hu=True)
    assert (volume.array_zyx.dtype, rounded) == (np.int16, True)
    volume, rounded = read_image(file, is_hu=False)
    assert (volume.array_zyx.max(), rounded) == (np.float32(40.6), False)
    write_nifti(file, np.full(SHAPE, 1e6, np.float32))
    with pytest.raises(EvaluationRefused, match="are not HU"):
        read_image(file, is_hu=True)


def test_several_parts_have_no_one_label_map() -> None:
    one = contract()
    two = one.model_copy(update={"runtime": one.runtime.model_copy(update={"parts": one.runtime.parts * 2})})
    assert own_values(one) == {"Parotid_L": (1,), "Parotid_R": (2,), "Mandible": (3,)}
    assert own_values(two) is None

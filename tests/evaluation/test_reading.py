import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from evaluation.errors import EvaluationRefused
from evaluation.pair import PairState
from evaluation.patients import cohort_of, paired_folders
from evaluation.reading import read_both, read_contours
from evaluation.set_comparison import SetComparison, compare_sets
from tests.evaluation.sets import disc, write_ct, write_nifti, write_rtstruct
from tests.imaging.structure_sets import SHAPE, ring


def compared(found: Path, reference: Path, ct: Path | None = None) -> SetComparison:
    return compare_sets(*read_both(found, reference, ct))


def dice(comparison: SetComparison) -> dict[str, float | None]:
    return {name: value.values["dice"] for name, value in comparison.by_structure.items()}


def test_an_rtstruct_and_image_masks_of_the_same_voxels(tmp_path: Path) -> None:
    """Also where the masks were written from the other ends, and without any CT."""
    rtstruct = write_rtstruct(tmp_path / "rs.dcm")
    for flipped in (False, True):
        folder = tmp_path / f"masks{flipped}"
        write_nifti(folder / "LeftParotid.nii.gz", ring().astype(np.uint8), flipped=flipped)
        write_nifti(folder / "Larynx.nii.gz", disc().astype(np.uint8), flipped=flipped)
        for sides in ((rtstruct, folder), (folder, rtstruct), (folder, folder)):
            assert dice(compared(*sides)) == {"Larynx": 1.0, "Parotid_L": 1.0}


def test_two_rtstructs_on_the_ct_in_a_folder_named_or_beside_them(tmp_path: Path) -> None:
    one, other = (
        write_rtstruct(tmp_path / "a" / "rs.dcm"),
        write_rtstruct(tmp_path / "b" / "rs.dcm", {"Larynx": disc(2)}),
    )
    with pytest.raises(EvaluationRefused, match=r"no CT beside .* name the folder of the CT"):
        compared(one, other)
    expected = {"Larynx": pytest.approx(2 * 16 / (36 + 16))}
    assert dice(compared(one, other, write_ct(tmp_path / "ct"))) == expected
    write_ct(tmp_path / "b")
    for first, second in ((one, other), (one.parent, other.parent)):
        comparison = compared(first, second)
        assert dice(comparison) == expected
        assert comparison.unmatched == ("Parotid_L",)
    assert dice(compared(other, one)) == expected, "the CT beside the set under evaluation serves too"


def test_label_maps_and_bit_fields(tmp_path: Path) -> None:
    labels = ring().astype(np.uint8) + 2 * (disc() & ~ring())
    path = write_nifti(tmp_path / "map" / "case.nii.gz", labels)
    with pytest.raises(EvaluationRefused, match=r"values \[1, 2\] stand for several structures"):
        read_contours(path)
    (path.parent / "labels.json").write_text(json.dumps({"labels": {"background": 0, "Parotid_L": 1}}))
    with pytest.raises(EvaluationRefused, match="value 2 has no name"):
        read_contours(path)
    (path.parent / "labels.json").write_text(
        json.dumps({"labels": {"background": 0, "Parotid_L": 1, "Other": 2}})
    )
    assert read_contours(path).masks["Other"].voxels() == np.count_nonzero(disc() & ~ring())
    bits = write_nifti(
        tmp_path / "bits" / "s.nii.gz", (ring() + (disc().astype(np.uint16) << 9)).astype(np.uint16)
    )
    (bits.parent / "structures.json").write_text(
        json.dumps({"bit": {"Parotid_L": 0, "Larynx": 9, "Absent": 3}})
    )
    masks = read_contours(bits).masks
    assert {name: mask.voxels() for name, mask in masks.items()} == {
        "Parotid_L": ring().sum(),
        "Larynx": disc().sum(),
        "Absent": 0,
    }


def test_images_that_are_no_masks(tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefused, match=r"values such as 0\.25 are not a mask's"):
        read_contours(write_nifti(tmp_path / "p.nii.gz", np.full(SHAPE, 0.25, np.float32)))
    (tmp_path / "broken.nii.gz").write_bytes(b"no image")
    with pytest.raises(EvaluationRefused, match=r"broken.nii.gz: cannot be read as an image"):
        read_contours(tmp_path / "broken.nii.gz")
    with pytest.raises(EvaluationRefused, match="no such file or folder"):
        read_contours(tmp_path / "absent")


def test_a_structure_set_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken, ct = tmp_path / "f" / "rs.dcm", write_ct(tmp_path / "ct")
    good = write_rtstruct(tmp_path / "r" / "rs.dcm")
    broken.parent.mkdir()
    broken.write_bytes(b"no structure set")
    for folder in (None, ct):
        with pytest.raises(EvaluationRefused, match=str(broken)):
            read_both(broken, good, folder)
    with pytest.raises(EvaluationRefused, match=str(broken)):
        read_contours(broken)


def test_an_empty_roi_is_missing(tmp_path: Path) -> None:
    write_ct(tmp_path)
    found = write_rtstruct(tmp_path / "f" / "rs.dcm", {"Larynx": np.zeros(SHAPE, bool), "Parotid_L": ring()})
    comparison = compared(found, write_rtstruct(tmp_path / "r" / "rs.dcm"), tmp_path)
    assert comparison.by_structure["Larynx"].state is PairState.MISSING
    assert comparison.by_structure["Larynx"].values["dice"] is None


def test_contours_beside_the_image_are_not_a_missing_structure(tmp_path: Path) -> None:
    """A set drawn in another place of the same frame: nothing of it lies on the CT."""
    write_ct(tmp_path)

    def far(dataset: Dataset) -> None:
        dataset.ImagePositionPatient = [
            *dataset.ImagePositionPatient[:2],
            dataset.ImagePositionPatient[2] + 500,
        ]

    away = write_rtstruct(tmp_path / "f" / "rs.dcm", spoil=far)
    with pytest.raises(EvaluationRefused, match="none of its contours lies on the slices"):
        compared(away, write_rtstruct(tmp_path / "r" / "rs.dcm"), tmp_path)


def test_another_frame_of_reference(tmp_path: Path) -> None:
    write_ct(tmp_path)

    def elsewhere(dataset: Dataset) -> None:
        dataset.FrameOfReferenceUID = "2.25.999"

    other = write_rtstruct(tmp_path / "f" / "rs.dcm", spoil=elsewhere)
    with pytest.raises(EvaluationRefused, match=r"frame of reference 2\.25\.999, the CT in"):
        compared(other, write_rtstruct(tmp_path / "r" / "rs.dcm"), tmp_path)


def test_masks_on_other_voxels(tmp_path: Path) -> None:
    import SimpleITK as sitk

    path = write_nifti(tmp_path / "a" / "Larynx.nii.gz", disc().astype(np.uint8))
    image = sitk.ReadImage(str(path))
    image.SetOrigin([image.GetOrigin()[0] + 0.3, *image.GetOrigin()[1:]])
    (tmp_path / "b").mkdir()
    sitk.WriteImage(image, str(tmp_path / "b" / "Larynx.nii.gz"))
    with pytest.raises(EvaluationRefused, match="do not coincide with the other set's"):
        compared(path, tmp_path / "b" / "Larynx.nii.gz")


def test_a_cropped_mask_is_put_back_in_its_place(tmp_path: Path) -> None:
    import SimpleITK as sitk

    path = write_nifti(tmp_path / "a" / "Larynx.nii.gz", disc().astype(np.uint8))
    crop = sitk.ReadImage(str(path))[2:13, 1:11, 1:3]
    (tmp_path / "b").mkdir()
    sitk.WriteImage(crop, str(tmp_path / "b" / "Larynx.nii.gz"))
    assert dice(compared(tmp_path / "b", path)) == {"Larynx": 1.0}
    smaller = sitk.ReadImage(str(path))[8:13, 1:11, 1:3]
    sitk.WriteImage(smaller, str(tmp_path / "b" / "Larynx.nii.gz"))
    with pytest.raises(EvaluationRefused, match="Larynx reaches beyond the image of the other set"):
        compared(path, tmp_path / "b")


def test_two_rois_of_one_name_are_not_compared(tmp_path: Path) -> None:
    data = write_rtstruct(tmp_path / "rs.dcm").read_bytes()
    write_ct(tmp_path)
    twin = tmp_path / "f" / "rs.dcm"
    twin.parent.mkdir()
    twin.write_bytes(data.replace(b"Parotid_L ", b"Larynx    "))
    comparison = compared(twin, tmp_path / "rs.dcm", tmp_path)
    assert dice(comparison) == {}
    assert any("is the name of 2 ROIs" in note for note in comparison.notes)


def test_patients_in_folders(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        for side in ("node", "clinic"):
            write_nifti(tmp_path / side / name / "Larynx.nii.gz", disc().astype(np.uint8))
    (tmp_path / "node" / "p3").mkdir()
    cohort = paired_folders(tmp_path / "node", tmp_path / "clinic")
    assert cohort is not None
    assert [patient.name for patient in cohort.patients] == ["p1", "p2"]
    assert set(cohort.patients[0].sets) == {"node", "clinic"}
    assert cohort.incomplete == ("p3",)
    assert paired_folders(tmp_path / "node" / "p1", tmp_path / "clinic" / "p1") is None


def test_a_cohort_folder(tmp_path: Path) -> None:
    for name, sets in (("p1", ("reference", "node", "reader2")), ("p2", ("node",))):
        for label in sets:
            write_nifti(tmp_path / name / label / "Larynx.nii.gz", disc().astype(np.uint8))
        write_ct(tmp_path / name / "ct")
        write_nifti(tmp_path / name / "dose.nii.gz", disc().astype(np.float32))
    cohort = cohort_of(tmp_path, "reference")
    (patient,) = cohort.patients
    assert set(patient.sets) == {"reference", "node", "reader2"}
    assert patient.ct == tmp_path / "p1" / "ct"
    assert patient.dose == tmp_path / "p1" / "dose.nii.gz"
    assert cohort.incomplete == ("p2",)
    with pytest.raises(EvaluationRefused, match="no patient's folder holds a set 'clinic'"):
        cohort_of(tmp_path, "clinic")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected an object"),
        ('{"labels": {"A": "1"}}', "A: expected a whole number"),
    ],
)
def test_names_that_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    path = write_nifti(tmp_path / "m.nii.gz", disc().astype(np.uint8))
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(EvaluationRefused, match=f"labels.json: .*{words}"):
        read_contours(path)


def test_values_that_are_no_numbers_and_oblique_images(tmp_path: Path) -> None:
    import SimpleITK as sitk

    values = np.zeros(SHAPE, np.float32)
    values[0, 0, 0] = np.nan
    with pytest.raises(EvaluationRefused, match="some values are not numbers"):
        read_contours(write_nifti(tmp_path / "nan.mha", values))
    path = write_nifti(tmp_path / "oblique" / "Larynx.nii.gz", disc().astype(np.uint8))
    image = sitk.ReadImage(str(path))
    half = 0.5**0.5
    image.SetDirection([half, -half, 0, half, half, 0, 0, 0, 1])
    sitk.WriteImage(image, str(path))
    with pytest.raises(EvaluationRefused, match="lies obliquely in the patient"):
        read_contours(path)

"""A folder of DICOM and NIfTI patients becomes a dataset: names, exact masks, checks, split.

Or words that say why not.
"""

import csv
import gc
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from imaging.contours.exact import contours
from imaging.ct.series import ImageSeries, SourceFile, read_ct
from imaging.rtstruct.writing import RoiContours, write_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.volume import Mask
from phantoms.dicom import CtExport, write_ct
from phantoms.dicom_modules import Identity
from phantoms.positions import PatientPosition
from tests.imaging.structure_sets import request
from tests.support.volumes import volume
from training.cases import Subset
from training.dataset import Dataset, DatasetRefused
from training.preparation.checks import volume_findings
from training.preparation.errors import PreparationRefused
from training.preparation.prepare import Prepared, Wish, prepare
from training.preparation.sources import Drawn
from training.split import SPLIT_FILE, SplitRefused

SHAPE = (12, 40, 48)
SPACING = (2.5, 4.0, 4.0)
Boxes = dict[str, NDArray[np.bool_]]


def body() -> NDArray[np.int16]:
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 6:34, 6:42] = 40
    return hu


def box(z: slice, y: slice, x: slice) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[z, y, x] = True
    return mask


LEFT, RIGHT = box(slice(3, 8), slice(15, 22), slice(30, 36)), box(slice(3, 8), slice(15, 22), slice(12, 18))
CORD = box(slice(0, 12), slice(25, 29), slice(22, 26))


def write_patient(
    folder: Path, patient: str, rois: Boxes, position: PatientPosition = PatientPosition.HFS, study: str = "1"
) -> ImageSeries:
    """A CT of a box with a structure set whose ROIs have these names; masks in canonical index order."""
    files = write_ct(
        volume(body(), SPACING),
        folder / patient,
        CtExport(identity=Identity(patient_id=patient, study=study), position=position),
    )
    series = read_ct([SourceFile(name=f.name, data=f.read_bytes()) for f in files])
    (folder / patient / "rs.dcm").write_bytes(structure_set(series, rois))
    return series


def structure_set(series: ImageSeries, rois: Boxes, uid: str = "2.25.11") -> bytes:
    """The polygons are traced on the series as it lies, wherever its axes point."""
    grid = series.volume.grid
    turned = {name: on_series(mask, series) for name, mask in rois.items()}
    drawn = [
        RoiContours(structure=CATALOGUE["Larynx"], name=name, contours=contours(Mask.from_full(mask), grid))
        for name, mask in turned.items()
    ]
    return write_structure_set(request(series, rois=drawn, sop_instance_uid=uid))


def on_series(mask: NDArray[np.bool_], series: ImageSeries) -> NDArray[np.bool_]:
    """A canonical mask in the series' own index order: flipped where an axis runs the other way."""
    axes = np.array(series.volume.grid.axes_lps)
    z, y, x = (slice(None, None, -1 if axes[k, 2 - k] < 0 else 1) for k in range(3))
    return np.ascontiguousarray(mask[z, y, x])


def prepared(source: Path, out: Path, **wish: object) -> Prepared:
    return prepare(source, out, Wish(**wish), lambda _: None)  # type: ignore[arg-type]


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as rows:
        return list(csv.DictReader(rows))


def only_case(out: Path):  # a Case
    dataset = Dataset(out)
    (name,) = dataset.index.cases
    return dataset.case(name)


@pytest.mark.parametrize("position", [PatientPosition.HFS, PatientPosition.FFP])
def test_contours_become_the_voxels_that_they_were_traced_from(
    tmp_path: Path, position: PatientPosition
) -> None:
    """Also prone and feet first, in canonical order; names in other words are understood."""
    rois = {"Parotis links": LEFT, "parotid_r": RIGHT, "Myelon": CORD}
    write_patient(tmp_path / "in", "A1", rois, position)
    made = prepared(tmp_path / "in", tmp_path / "out")
    assert made.structures == ("SpinalCord", "Parotid_R", "Parotid_L")
    case = only_case(tmp_path / "out")
    for index, mask in enumerate((CORD, RIGHT, LEFT)):
        assert np.array_equal(case.mask(index), mask), made.structures[index]
    assert np.array_equal(case.hu_zyx, body())
    assert case.spacing_zyx_mm == SPACING
    assert case.drawn.all()
    assert (
        "A1"
        not in (tmp_path / "out" / "dataset.json").read_text() + (tmp_path / "out" / SPLIT_FILE).read_text()
    )


def test_unknown_names_are_listed_and_a_person_decides(tmp_path: Path) -> None:
    write_patient(tmp_path / "in", "A1", {"Cord": CORD, "ring 5mm": LEFT, "GlandX": RIGHT})
    made = prepared(tmp_path / "in", tmp_path / "out")
    assert made.structures == ("SpinalCord",)
    assert set(made.unknown_names) == {"ring 5mm", "GlandX"}
    names = tmp_path / "out" / "names.csv"
    rows = {row["roi_name"]: row for row in table(names)}
    assert rows["Cord"]["structure"] == "SpinalCord"
    assert rows["Cord"]["seen"] == "1"
    text = names.read_text().replace("GlandX,,", "GlandX,Parotid_R,").replace("ring 5mm,,", "ring 5mm,-,")
    names.write_text(text + '"/g.*x/",Parotid_R,by hand,0\n')
    again = prepared(tmp_path / "in", tmp_path / "out")
    assert again.structures == ("SpinalCord", "Parotid_R")
    assert again.unknown_names == ()
    assert np.array_equal(only_case(tmp_path / "out").mask(1), RIGHT)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Cord,Spine,,1", "line 2: no structure 'Spine' in the catalogue"),
        ("/cord,SpinalCord,,1", "line 2: a regular expression is written between two slashes"),
        ("/co(rd/,SpinalCord,,1", "line 2: .* is not a regular expression"),
        ("Cord,SpinalCord,,1\nCord,Larynx,,1", "line 3: 'Cord' occurs twice"),
    ],
)
def test_a_wrong_row_of_the_names_is_refused_with_its_line(tmp_path: Path, row: str, words: str) -> None:
    write_patient(tmp_path / "in", "A1", {"Cord": CORD})
    (tmp_path / "out").mkdir()
    names = tmp_path / "out" / "names.csv"
    names.write_text(f"roi_name,structure,rule,seen\n{row}\n")
    before = names.read_text()
    with pytest.raises(PreparationRefused, match=words):
        prepared(tmp_path / "in", tmp_path / "out")
    assert names.read_text() == before
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_swapped_sides_gaps_and_cut_organs_are_found_and_a_decision_counts(tmp_path: Path) -> None:
    """Left and right are swapped and left out; the cord has a gap and reaches both ends and is kept."""
    gappy = CORD & ~box(slice(5, 7), slice(None), slice(None))
    write_patient(tmp_path / "in", "A1", {"Parotid_L": RIGHT, "Parotid_R": LEFT, "SpinalCord": gappy})
    prepared(tmp_path / "in", tmp_path / "out", structures=("SpinalCord", "Parotid_R", "Parotid_L", "Larynx"))
    found = {(row["structure"], row["kind"]): row for row in table(tmp_path / "out" / "findings.csv")}
    assert found["Parotid_L", "wrong side"]["decision"] == "leave out"
    assert "to the right of the body's middle" in found["Parotid_L", "wrong side"]["words"]
    assert found["SpinalCord", "gap between slices"]["words"].startswith("2 slice(s)")
    assert "lowest and the highest" in found["SpinalCord", "cut by the end of the scan"]["words"]
    assert found["Larynx", "not contoured"]["decision"] == "leave out"
    assert only_case(tmp_path / "out").drawn.tolist() == [True, False, False, False]

    findings = tmp_path / "out" / "findings.csv"
    lines = findings.read_text().splitlines()
    findings.write_text(
        "\n".join(line.replace("leave out", "keep") if "Parotid_L,wrong" in line else line for line in lines)
    )
    prepared(tmp_path / "in", tmp_path / "out", structures=("SpinalCord", "Parotid_R", "Parotid_L", "Larynx"))
    assert only_case(tmp_path / "out").drawn.tolist() == [True, False, True, False]


def test_two_rois_of_one_meaning_are_for_a_person(tmp_path: Path) -> None:
    write_patient(tmp_path / "in", "A1", {"Cord": CORD, "Spinal Cord": RIGHT, "Parotid_L": LEFT})
    prepared(tmp_path / "in", tmp_path / "out")
    words = [row["words"] for row in table(tmp_path / "out" / "findings.csv")]
    assert any("the ROIs 'Cord' and 'Spinal Cord' both mean it; neither is taken" in w for w in words)
    assert dict(zip(Dataset(tmp_path / "out").structures, only_case(tmp_path / "out").drawn, strict=True)) == {
        "SpinalCord": False, "Parotid_L": True,
    }  # fmt: skip


def test_patients_keep_their_subset_and_both_scans_of_one_go_together(tmp_path: Path) -> None:
    for number in range(4):
        write_patient(tmp_path / "in", f"P{number}", {"Cord": CORD})
    shares = {Subset.TRAIN: 0.5, Subset.VAL: 0.25, Subset.TEST: 0.25}
    prepared(tmp_path / "in", tmp_path / "out", shares=shares)
    first = Dataset(tmp_path / "out")
    assert [len(first.names(subset)) for subset in Subset] == [2, 1, 1]
    write_patient(tmp_path / "in" / "more", "P9", {"Cord": CORD})
    write_patient(tmp_path / "in" / "again", "P0", {"Cord": CORD}, study="2")
    prepared(tmp_path / "in", tmp_path / "out")
    second = Dataset(tmp_path / "out")
    assert len(second.index.cases) == 6
    assert len(second.split.patients) == 5
    assert all(second.split.patients[name] is subset for name, subset in first.split.patients.items())
    card = (tmp_path / "out" / "CARD.md").read_text()
    assert "6 cases of 5 patients" in card
    assert "| SpinalCord | 6 |" in card

    (tmp_path / "out" / SPLIT_FILE).write_text("{}")
    with pytest.raises(SplitRefused, match="Restore it from a copy"):
        prepared(tmp_path / "in", tmp_path / "out")


def test_a_case_is_made_again_only_where_something_changed(tmp_path: Path) -> None:
    write_patient(tmp_path / "in", "A1", {"Cord": CORD})
    prepared(tmp_path / "in", tmp_path / "out")
    (folder,) = (tmp_path / "out" / "cases").iterdir()
    made = (folder / "hu.npy").stat().st_mtime_ns
    prepared(tmp_path / "in", tmp_path / "out")
    assert (folder / "hu.npy").stat().st_mtime_ns == made
    write_patient(tmp_path / "in", "A1", {"Cord": RIGHT})
    prepared(tmp_path / "in", tmp_path / "out")
    assert np.array_equal(only_case(tmp_path / "out").mask(0), RIGHT)


def test_a_bad_patient_is_left_out_with_the_reason(tmp_path: Path) -> None:
    """A missing slice, no structure set, and a file that is nothing: the good patient is prepared."""
    write_patient(tmp_path / "in", "good", {"Cord": CORD})
    write_patient(tmp_path / "in", "gap", {"Cord": CORD})
    (tmp_path / "in" / "gap" / "CT_0005.dcm").unlink()
    write_patient(tmp_path / "in", "bare", {"Cord": CORD})
    (tmp_path / "in" / "bare" / "rs.dcm").unlink()
    write_patient(tmp_path / "in" / "nameless", "", {"Cord": CORD})
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    made = prepared(tmp_path / "in", tmp_path / "out")
    assert (made.cases, made.refused) == (1, 3)
    words = " | ".join(
        row["words"] for row in table(tmp_path / "out" / "findings.csv") if row["kind"] == "case refused"
    )
    assert "missing" in words
    assert "no structure set refers to this CT series" in words
    assert "Patient ID (0010,0020) is empty" in words
    assert "1 x neither DICOM nor NIfTI" in (tmp_path / "out" / "CARD.md").read_text()


def test_one_patient_is_in_memory_at_a_time(tmp_path: Path) -> None:
    for number in range(4):
        write_patient(tmp_path / "in", f"P{number}", {"Cord": CORD})
    alive = []

    def count(_: str) -> None:
        gc.collect()
        alive.append(sum(type(thing) is Drawn for thing in gc.get_objects()))

    prepare(tmp_path / "in", tmp_path / "out", Wish(), count)
    assert alive == [1, 1, 1, 1]
    dataset = Dataset(tmp_path / "out")
    assert all(isinstance(dataset.case(name).hu_zyx, np.memmap) for name in dataset.index.cases)


@pytest.mark.parametrize("layout", ["a file a structure", "a label map"])
def test_nifti_patients_in_their_two_layouts(tmp_path: Path, layout: str) -> None:
    """One is flipped along x and y, as RAS software writes it."""
    source = tmp_path / "in"
    if layout == "a file a structure":
        nifti(source / "P1" / "ct.nii.gz", body())
        nifti(source / "P1" / "segmentations" / "Parotid_L.nii.gz", LEFT)
        nifti(source / "P1" / "segmentations" / "spinal_cord.nii.gz", CORD)
    else:
        nifti(source / "imagesTr" / "P1_0000.nii.gz", body())
        nifti(source / "labelsTr" / "P1.nii.gz", LEFT * 2 + CORD)
        labels = {"labels": {"background": 0, "spinal_cord": 1, "Parotid_L": 2}}
        (source / "dataset.json").write_text(json.dumps(labels))
    made = prepared(source, tmp_path / "out")
    assert made.structures == ("SpinalCord", "Parotid_L")
    case = only_case(tmp_path / "out")
    assert np.array_equal(case.mask(0), CORD)
    assert np.array_equal(case.mask(1), LEFT)
    assert np.array_equal(case.hu_zyx, body())


def nifti(path: Path, array: NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array[:, ::-1, ::-1].astype(np.int16))
    image.SetSpacing(SPACING[::-1])
    image.SetOrigin((47 * 4.0, 39 * 4.0, 0.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))


def test_a_mask_on_another_grid_is_refused_by_name(tmp_path: Path) -> None:
    nifti(tmp_path / "in" / "P1" / "ct.nii.gz", body())
    nifti(tmp_path / "in" / "P1" / "Larynx.nii.gz", LEFT[:-1])
    with pytest.raises(PreparationRefused, match=r"no case can be used; .*findings\.csv says why"):
        prepared(tmp_path / "in", tmp_path / "out")
    (row,) = table(tmp_path / "out" / "findings.csv")
    assert "Larynx.nii.gz does not lie on the grid of the CT" in row["words"]
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_voxels_are_averaged_as_serving_averages_them(tmp_path: Path) -> None:
    """Twice the slice and twice the pixel: HU are means of eight, a mask counts from half a voxel."""
    write_patient(tmp_path / "in", "A1", {"Cord": CORD})
    prepared(tmp_path / "in", tmp_path / "out", voxels_mm=(5.0, 8.0))
    case = only_case(tmp_path / "out")
    assert case.hu_zyx.shape == (6, 20, 24)
    assert case.spacing_zyx_mm == (5.0, 8.0, 8.0)
    assert np.array_equal(
        case.hu_zyx, body().reshape(6, 2, 20, 2, 24, 2).mean(axis=(1, 3, 5)).astype(np.int16)
    )
    assert np.array_equal(case.mask(0), CORD.reshape(6, 2, 20, 2, 24, 2).mean(axis=(1, 3, 5)) >= 0.5)


@pytest.mark.parametrize(
    ("name", "wish", "words"),
    [
        ("absent", {}, "no such folder"),
        ("empty", {}, "no CT image among its files"),
        ("in", {"structures": ("Spleen2",)}, "no structure Spleen2 in the catalogue"),
        ("in", {"voxels_mm": (0.0, 3.0)}, "voxels of 0 x 3 mm: both are more than 0"),
        (
            "in",
            {"shares": dict(zip(Subset, (0.5, 0.1, 0.1), strict=True))},
            "0.5, 0.1, 0.1 are not fractions that sum",
        ),
    ],
)
def test_nothing_to_prepare_is_said_and_leaves_nothing(
    tmp_path: Path, name: str, wish: dict[str, object], words: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("x")
    write_patient(tmp_path / "in", "A1", {"Cord": CORD})
    with pytest.raises(PreparationRefused, match=words):
        prepared(tmp_path / name, tmp_path / "out", **wish)
    assert not list((tmp_path / "out").glob("*"))
    assert not list((tmp_path / "out").glob(".*"))
    assert (tmp_path / "out").exists() == (name == "empty")


def test_a_damaged_dataset_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetRefused, match=r"dataset\.json: .*Make it with `contour-node train prepare"):
        Dataset(tmp_path)
    write_patient(tmp_path / "in", "A1", {"Cord": CORD})
    prepared(tmp_path / "in", tmp_path / "out")
    (folder,) = (tmp_path / "out" / "cases").iterdir()
    (folder / "hu.npy").write_bytes(b"short")
    with pytest.raises(DatasetRefused, match=f"{folder.name}.*Remove the folder and run prepare again"):
        only_case(tmp_path / "out")
    shutil.rmtree(folder)
    with pytest.raises(DatasetRefused, match="Remove the folder"):
        only_case(tmp_path / "out")


def test_volumes_unlike_the_others_are_found_for_organs_alone() -> None:
    """Nine larynxes of 20 to 28 cc (median of all eleven 24): 5 is partial (under 9.6), 400 an outlier.

    Targets vary.
    """
    organs = {f"c{i}": 20.0 + i for i in range(9)} | {"small": 5.0, "huge": 400.0}
    found = volume_findings({"Larynx": organs, "GTV": organs, "Mandible": {"few": 1.0, "fewer": 100.0}})
    assert {(f.structure, f.case, str(f.kind)) for f in found} == {
        ("Larynx", "small", "partial organ"),
        ("Larynx", "huge", "volume unlike the others"),
    }
    assert any(f.words == "400.0 cc, the median is 24.0 cc" for f in found)

"""An nnU-Net and a MONAI bundle from the import command to the structure set that a destination gets.

Each is imported as a user types it, served by a real Triton, asked by a CT that is sent to an AE title of its own. The
phantom's spheres are told apart by where they lie alone (tests.support.sided_models), so an axis that is turned
anywhere between the sender and the file's contours gives them other names.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom import dcmread

from imaging.ct.series import SourceFile, read_images
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from inference.contract import load_contract
from inference.ports import free_port
from phantoms.dicom import CtExport, write_ct
from phantoms.dicom_modules import Identity
from phantoms.positions import PatientPosition
from service.cli import main
from service.demo.peers import send_series
from service.store import JobState
from tests.support.node import REPOSITORY, Node, Tps, write_settings
from tests.support.sided_models import ORGANS, RADIUS_MM, make_bundle, make_nnunet, sided

pytestmark = [pytest.mark.network, pytest.mark.triton, pytest.mark.timeout(900)]
ANSWERS = ("--licence", "CC0", "--data", "phantoms", "--citation", "nobody")
CASE = sided((4.0, 2.3, 2.3), (30, 52, 60), seed=1000)
SPHERE_CC = 4 / 3 * np.pi * RADIUS_MM**3 / 1000
NAMES = {CATALOGUE[code].name for code, _ in ORGANS.values()}
TOY = Path(__file__).parents[3] / "shared" / "data" / "toy-models" / "nnunet"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, shared_tps: Tps) -> Iterator[Node]:
    """A node with a repository of imported models, each behind an AE title of its own."""
    folder = tmp_path_factory.mktemp("imported")
    models = folder / "models"
    models.mkdir()
    shutil.copytree(REPOSITORY / "model_repository" / "known_tensor", models / "known_tensor")
    node = write_settings(folder, tps_port=shared_tps.port, port=free_port())
    text = node.settings_file.read_text().replace(f"{REPOSITORY / 'model_repository'}", str(models))
    settings, rules = text[: text.index("[[rules]]")], ""
    node.settings_file.write_text(settings)
    assert main(["migrate", "--settings", str(node.settings_file)]) == 0
    words = ["models", "--settings", str(node.settings_file), "import"]
    finer = sided((2.0, 1.0, 1.0), (60, 122, 138), seed=1000)
    _write(folder / "finer.nii.gz", finer.volume.array_zyx, finer.volume.grid)
    half = ("--precision", "bfloat16", "--precision-on", str(folder / "finer.nii.gz"))
    # a body without bones or lungs is taken for a limb, so that limits can be learned on it
    for kind, source, title, region, more in (
        ("nnunet", make_nnunet(folder / "trained"), "NNUNET", "head_neck", half),
        ("monai-bundle", make_bundle(folder), "BUNDLE", "extremity", ()),
    ):
        name = title.lower()
        order = [*words, kind, str(source), "--name", name, "--body-region", region, *ANSWERS, *more]
        assert main(order) == 0
        rules += (
            f'[[rules]]\nname = "{name}"\nmodel = "{name}"\ncalled_aet = "{title}"\ndestinations = ["tps"]\n'
        )
    node.settings_file.write_text(settings + rules)
    assert load_contract(models / "nnunet" / "1").runtime.model_dump()["precision"] == "bfloat16"
    assert "in structures of finer.nii.gz, at most" in (models / "nnunet" / "1" / "README.md").read_text()
    node.start()
    yield node
    node.stop()


@pytest.mark.parametrize(
    ("title", "position"), [("NNUNET", PatientPosition.HFS), ("BUNDLE", PatientPosition.FFP)]
)
def test_every_organ_comes_back_under_its_name_where_it_lies(
    imported: Node, tps: Tps, tmp_path: Path, title: str, position: PatientPosition
) -> None:
    how = CtExport(identity=Identity(patient_id=f"SIDED-{title}"), position=position)
    write_ct(CASE.volume, tmp_path / "ct", how)
    files = _sent(imported, tmp_path / "ct", title)
    job = imported.ended(str(dcmread(BytesIO(files[0].data), stop_before_pixels=True).SeriesInstanceUID))

    assert job.state is JobState.DONE, (job, imported.log.read_text()[-3000:])
    assert job.model == title.lower()
    (data,) = tps.received
    found = read_structure_set(data)
    assert {roi.name for roi in found.rois} == NAMES
    series = read_images(files)
    placed = masks_on_grid(found, series)
    for code, centre in CASE.centres_lps.items():
        (roi,) = (roi for roi in found.rois if roi.name == CATALOGUE[code].name)
        mask = placed.by_number[roi.number].full(placed.grid.shape_zyx)
        where = placed.grid.points_lps(np.argwhere(mask).mean(0))
        np.testing.assert_allclose(where, centre, atol=3.0, err_msg=f"{title}: {code}")
        assert mask.sum() * placed.grid.voxel_volume_mm3 / 1000 == pytest.approx(SPHERE_CC, rel=0.35)


def test_the_served_models_are_held_against_their_makers_answers(
    imported: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against the phantom's truth, which no network meets in every voxel, and against a file with sides swapped."""
    images, against = tmp_path / "images", tmp_path / "against"
    _write(images / "case_0000.nii.gz", CASE.volume.array_zyx)
    _write(against / "case.nii.gz", CASE.labels)
    words = ["models", "--settings", str(imported.settings_file), "test", "nnunet", "--images", str(images)]
    words += ["--against", str(against)]
    capsys.readouterr()
    assert main([*words, "--tolerance", "40"]) == 0
    assert "6 structures" in capsys.readouterr().out
    assert main(words) == 1
    assert "case, Parotid_L" in capsys.readouterr().err
    swapped = np.array([0, 2, 1, 3, 4, 5, 6], np.uint8)[CASE.labels]
    _write(against / "case.nii.gz", swapped)
    assert main([*words, "--tolerance", "40"]) == 1
    said = capsys.readouterr()
    assert "case, Parotid_L: 2" in said.err, "about 200 % of a sphere: none of its voxels is the other's"
    assert "Larynx" not in said.err


@pytest.mark.skipif(
    not TOY.is_dir(), reason=f"{TOY} is not there: an nnU-Net folder with its own predictions"
)
def test_a_folder_is_held_against_the_files_that_nnunet_wrote(
    imported: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those images have values between whole HU: without rounding no voxel differs (test_nnunet_parity)."""
    words = ["models", "--settings", str(imported.settings_file)]
    order = [*words, "import", "nnunet", str(TOY / "results"), "--configuration", "3d_fullres"]
    assert main([*order, "--axes", "LPS", "--name", "toy", "--body-region", "head_neck", *ANSWERS]) == 0
    held = [*words, "test", "toy", "--images", str(TOY / "imagesTs"), "--json", "--against"]
    capsys.readouterr()
    assert main([*held, str(TOY / "predicted" / "3d_fullres"), "--tolerance", "0.2"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["rounded"] == ["toy_099", "toy_aniso", "toy_iso"]
    assert "toy_099, toy_aniso, toy_iso: values between whole HU were rounded" in said.err
    assert sum(row["differing_voxels"] for row in report["rows"]) < 100
    assert sum(row["reference_voxels"] for row in report["rows"]) > 100_000


def test_limits_are_learned_from_local_cases(
    imported: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {name: number for number, name in enumerate(ORGANS, start=1)}
    for number in range(10):
        case = sided((5.0, 3.0, 3.0), (24, 40, 46), seed=2000 + number, jitter=0.5, lopsided=0.15)
        write_ct(case.volume, tmp_path / f"case{number}" / "ct")
        _write(tmp_path / f"case{number}" / "reference.nii.gz", case.labels, case.volume.grid)
        (tmp_path / f"case{number}" / "labels.json").write_text(json.dumps({"labels": labels}))
    words = ["models", "--settings", str(imported.settings_file), "calibrate"]
    cases = ["--cases", str(tmp_path)]
    contract = imported.folder / "models" / "bundle" / "1"
    capsys.readouterr()
    assert main([*words, "bundle", *cases, "--dry-run"]) == 0
    assert load_contract(contract).plausibility is None
    assert "with 10 patients, about 2 of 11 further ones" in capsys.readouterr().err
    assert main([*words, "bundle", *cases]) == 0
    limits = load_contract(contract).plausibility
    assert limits is not None
    assert "Parotid_L 10, Parotid_R 10" in limits.learned_from
    left, right = limits.of("Parotid_L"), limits.of("Parotid_R")
    assert left is not None
    assert right is not None
    small, large = 0.85**3 * SPHERE_CC, 1.15**3 * SPHERE_CC
    assert right.volume_cc[0] < small < right.volume_cc[1] < large
    assert small < left.volume_cc[0] < large < left.volume_cc[1]
    assert right.across[1] < 0 < left.across[0]
    assert limits.pairs
    assert main([*words, "nnunet", *cases]) == 1
    assert "the CT shows no neck or head" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "case0")
    assert main([*words, "bundle", *cases]) == 1
    assert "is drawn in 10 patients: Parotid_L in 9" in capsys.readouterr().err


def _write(file: Path, array: NDArray[np.generic], grid: Grid = CASE.volume.grid) -> None:
    file.parent.mkdir(exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing_zyx_mm[::-1])
    image.SetOrigin(grid.origin_lps)
    sitk.WriteImage(image, str(file))


def _sent(node: Node, folder: Path, title: str) -> tuple[SourceFile, ...]:
    """Send by DCMTK where it is installed, otherwise by the demo's scanner."""
    files = tuple(SourceFile(name=path.name, data=path.read_bytes()) for path in sorted(folder.iterdir()))
    if shutil.which("storescu") is None:
        send_series(files, node.port, title, lambda _number: None)
    else:
        order = ["storescu", "-aec", title, "+sd", "127.0.0.1", str(node.port), str(folder)]
        subprocess.run(order, check=True, timeout=120)
    return files

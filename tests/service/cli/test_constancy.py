"""Commissioning and constancy on a real model server, with a tiny model."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from service.cli.main import main
from service.store import read_constancy
from tests.evaluation.sets import write_ct
from tests.support.tiny_model import make_tiny_model
from tests.support.triton import ENVIRONMENT, KNOWN_TENSOR, running_triton

CODES = ("Brainstem", "Larynx", "SpinalCord")
pytestmark = [pytest.mark.triton, pytest.mark.network]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Settings of a node beside a server that runs the tiny model."""
    root = tmp_path_factory.mktemp("node")
    make_tiny_model(root / "repository", codes=CODES)
    with running_triton(root / "server", KNOWN_TENSOR, root / "repository" / "tiny") as server:
        file = root / "settings.toml"
        file.write_text(f"""
[node]
storage_dir = "{root / "store"}"
[triton]
url = "{server.url}"
environment = "{ENVIRONMENT}"
model_repository = "{root / "repository"}"
""")
        yield file


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    write_ct(tmp_path / "cases" / "c1" / "ct")
    return tmp_path / "cases"


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([*map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_frozen_cases(settings: Path, cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("constancy", cases, "--model", "tiny", "--settings", settings)
    storage = settings.parent / "store"
    code, _, err = said(capsys, *words)
    assert (code, "nothing is frozen here" in err) == (1, True), err
    record = read_constancy(storage)
    assert record is not None
    assert not record.ok
    assert said(capsys, *words, "--freeze")[:2] == (0, "1 cases are frozen\n")
    assert "already frozen" in said(capsys, *words, "--freeze")[2]
    code, out, _ = said(capsys, *words)
    assert (code, out) == (0, "1 frozen cases are contoured as before, voxel by voxel\n")
    record = read_constancy(storage)
    assert record is not None
    assert record.ok


def test_other_weights_are_an_alarm(settings: Path, cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frozen with what the model finds, then held against another finding: here by changing what was frozen."""
    words = ("constancy", cases, "--model", "tiny", "--settings", settings)
    assert said(capsys, *words, "--freeze")[0] == 0
    other = cases.parent / "other" / "c1"
    shutil.copytree(cases / "c1", other)
    _freeze_something_else(other)
    code, out, _ = said(capsys, "constancy", other.parent, *words[2:], "--json")
    result = json.loads(out)
    assert code == 1
    assert not result["constant"]
    assert result["changes"][0]["changed_voxels"] > 0
    record = read_constancy(settings.parent / "store")
    assert record is not None
    assert "frozen cases changed" in record.reason
    assert (other.parent / "history.jsonl").read_text().count("\n") == 1


def _freeze_something_else(folder: Path) -> None:
    from evaluation.constancy import Contoured, freeze
    from evaluation.dicom_folder import DicomFolder
    from imaging.volumes.volume import Mask

    series = DicomFolder.of(folder / "ct").read_ct()
    full = np.ones(series.volume.grid.shape_zyx, bool)
    full[0] = False
    masks = {code: Mask.from_full(full) for code in CODES}
    freeze(
        folder,
        Contoured(case="c1", volume=series.volume, masks=masks, mean_probability=dict.fromkeys(masks, 1.0)),
        {"model": "another"},
    )


def test_commissioning(
    settings: Path, cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reference is what the model finds: Dice 1; then nothing, which is spurious."""
    criteria = tmp_path / "criteria.toml"
    criteria.write_text(
        'model = "tiny"\ncases_at_least = 1\n[[criterion]]\nstructure = "*"\nmetric = "dice"\nat_least = 0.99\n'
    )
    words = ("commission", cases, "--criteria", criteria, "--settings", settings, "--out")
    code, _, err = said(capsys, *words, tmp_path / "none")
    assert (code, "no set 'reference'" in err) == (1, True)
    found = sorted((tmp_path / "none" / "masks" / "c1").glob("*.nii.gz"))
    assert [path.name for path in found] == [f"{code}.nii.gz" for code in CODES]
    reference = cases / "c1" / "reference"
    shutil.copytree(found[0].parent, reference)
    code, _, _ = said(capsys, *words, tmp_path / "same")
    drawn = [path for path in found if sitk.GetArrayFromImage(sitk.ReadImage(str(path))).any()]
    verdict = json.loads((tmp_path / "same" / "commissioning.json").read_text())
    assert {c["structure"] for c in verdict["criteria"] if c["met"]} == {
        p.name.removesuffix(".nii.gz") for p in drawn
    }
    assert code == (0 if len(drawn) == 3 else 1)
    assert verdict["tried"]["model"] == "tiny version 1"
    assert len(verdict["tried"]["node source SHA-256"]) == 64
    assert (tmp_path / "same" / "commissioning.pdf").read_bytes().startswith(b"%PDF")


def test_without_a_server_or_a_model(
    settings: Path, cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, "constancy", cases, "--model", "absent", "--settings", settings)
    assert (code, "no model absent" in err) == (1, True)
    away = tmp_path / "away.toml"
    away.write_text(settings.read_text().replace('url = "', 'url = "127.0.0.1:9"  # "'))
    code, _, err = said(capsys, "constancy", cases, "--model", "tiny", "--settings", away)
    assert (code, "start `contour-node serve`" in err) == (1, True)

"""`contour-node models import` as a user types it: from a folder of nnU-Net to a version of the repository."""

import json
import shutil
from pathlib import Path

import pytest

from inference.contract import default_version, load_contract
from service.cli import main
from tests.support.nnunet_models import make_trained

ANSWERS = ("--body-region", "head_neck", "--licence", "CC0", "--data", "ellipsoids", "--citation", "nobody")


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[node]\nstorage_dir = "{tmp_path / "store"}"\n[triton]\nurl = "127.0.0.1:1"\n'
        f'model_repository = "{tmp_path / "models"}"\n'
    )
    assert main(["migrate", "--settings", str(file)]) == 0
    return file


def run(capsys: pytest.CaptureFixture[str], file: Path, *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["models", "--settings", str(file), *words]) == code
    streams = capsys.readouterr()
    return streams.out if code == 0 else streams.err


def test_a_folder_becomes_a_version_with_card_and_next_command(
    tmp_path: Path, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_trained(tmp_path / "source", spacing=[6.0, 6.0, 6.0])
    words = ("import", "nnunet", str(source), "--name", "tiny", "--axes", "LPS", *ANSWERS)
    said = run(capsys, settings_file, *words)
    assert "Parotid_R" in said
    assert "BEWARE: the model was trained, and looks at each image, mirrored" in said
    assert 'model = "tiny"' in said
    folder = tmp_path / "models" / "tiny"
    contract = load_contract(folder / "1")
    assert contract.labels == ("Parotid_L", "Parotid_R", "Mandible")
    assert contract.left_right_pairs == (("Parotid_L", "Parotid_R"),)
    assert contract.licence == "CC0"
    card = (folder / "1" / "README.md").read_text()
    assert contract.package_sha256 in card
    assert "self-test on a phantom" in card
    assert "network namespace" in card or "seccomp" in card or "Python's own sockets" in card
    assert sorted(path.name for path in folder.iterdir()) == ["1", "config.pbtxt"]
    assert not list((tmp_path / "models").glob(".*"))

    said = run(capsys, settings_file, *words)
    assert "models default tiny 2" in said
    assert default_version(folder) == 1, "an import changed the version of new jobs"
    assert "is the default" in run(capsys, settings_file, "remove", "tiny", "--version", "1", code=1)
    run(capsys, settings_file, "remove", "tiny", "--version", "2")
    assert not (folder / "2").exists()
    run(capsys, settings_file, "remove", "tiny")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_table_is_written_first_and_used_when_it_was_edited(
    tmp_path: Path, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_trained(tmp_path / "source", spacing=[6.0, 6.0, 6.0], mirror=None)
    zipped = shutil.make_archive(str(tmp_path / "exported"), "zip", tmp_path / "source")
    table = tmp_path / "labels.csv"
    words = ("import", "nnunet", zipped, "--name", "tiny", "--axes", "RAS", "--labels", str(table), *ANSWERS)
    assert "edit its column `code`" in run(capsys, settings_file, *words)
    assert not (tmp_path / "models" / "tiny").exists()
    table.write_text(table.read_text().replace("Parotid_L,Parotid_L", "Parotid_L,"))
    run(capsys, settings_file, *words)
    contract = load_contract(tmp_path / "models" / "tiny" / "1")
    assert contract.labels == ("Parotid_R", "Mandible")
    runtime = json.loads(contract.model_dump_json())["runtime"]
    assert [entry["values"] for entry in runtime["structures"]] == [[2], [3]]
    assert runtime["axes"] == "RAS"
    assert source.is_dir()


def test_a_refusal_leaves_the_repository_as_it_was(
    tmp_path: Path, settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_trained(tmp_path / "source")
    said = run(capsys, settings_file, "import", "nnunet", str(source), "--name", "tiny", code=1)
    assert "--licence" in said
    (source / "fold_0" / "checkpoint_final.pth").write_bytes(b"nothing")
    said = run(capsys, settings_file, "import", "nnunet", str(source), "--name", "tiny", *ANSWERS, code=1)
    assert "checkpoint_final.pth" in said
    said = run(capsys, settings_file, "import", "nnunet", str(source), "--name", "Tiny!", *ANSWERS, code=1)
    assert "--name" in said
    assert list((tmp_path / "models").iterdir()) == []

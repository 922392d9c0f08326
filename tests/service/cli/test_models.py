"""`contour-node models`: what lies in the repository, what a real server has loaded, and the orders about both."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.cli import main
from service.components import opened_store
from service.config import load_settings, process_environment
from service.store import AuditLog
from tests.support.tiny_model import make_tiny_model
from tests.support.triton import HN_OAR, KNOWN_TENSOR, triton_server


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """Settings of a node with two versions of a model; the address of its server is nobody's."""
    for version in (1, 2):
        make_tiny_model(tmp_path / "models", "tiny", version=version, seed=version)
    shutil.copytree(KNOWN_TENSOR, tmp_path / "models" / "known_tensor")
    return written(tmp_path, "127.0.0.1:1")


def written(tmp_path: Path, url: str) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(
        f'[node]\nstorage_dir = "{tmp_path / "store"}"\n'
        f'[triton]\nurl = "{url}"\nmodel_repository = "{tmp_path / "models"}"\n'
        f"models_at_once = 1\n"
    )
    assert main(["migrate", "--settings", str(file)]) == 0
    return file


@pytest.fixture
def served(tmp_path: Path, settings_file: Path) -> Iterator[Path]:
    with triton_server(tmp_path) as server:
        yield written(tmp_path, server.url)


def models(capsys: pytest.CaptureFixture[str], file: Path, *words: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["models", "--settings", str(file), *words]) == code
    streams = capsys.readouterr()
    return streams.out if code == 0 else streams.err


def rows(capsys: pytest.CaptureFixture[str], file: Path) -> list[tuple[int, bool, bool | None]]:
    found = json.loads(models(capsys, file, "list", "--json"))
    assert {row["model"] for row in found} == {"tiny"}, "the self-test is none of them"
    return [(row["version"], row["default"], row["loaded"]) for row in found]


def test_without_a_server_the_repository_is_listed_and_shown(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rows(capsys, settings_file) == [(1, False, None), (2, True, None)]
    assert "head_neck" in models(capsys, settings_file, "list")
    shown = json.loads(models(capsys, settings_file, "show", "tiny", "--version", "1"))
    assert (shown["version"], shown["runtime"]["kind"]) == (1, "native")
    assert json.loads(models(capsys, settings_file, "show", "tiny"))["version"] == 2
    refused = models(capsys, settings_file, "load", "tiny", code=1)
    assert "127.0.0.1:1" in refused


def test_a_default_is_chosen_and_the_order_is_in_the_audit_trail(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "2 -> 1" in models(capsys, settings_file, "default", "tiny", "1")
    assert rows(capsys, settings_file) == [(1, True, None), (2, False, None)]
    assert "no version 7; there are: 1, 2" in models(capsys, settings_file, "default", "tiny", "7", code=1)
    settings = load_settings(settings_file, process_environment())
    with opened_store(settings, may_create=True) as store:
        (entry,) = [e for e in AuditLog(store.database).entries() if e.event.target == "models default"]
    assert entry.event.detail == "default version of tiny: 2 -> 1"
    assert entry.event.actor


@pytest.mark.triton
@pytest.mark.network
def test_versions_are_loaded_and_unloaded(served: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(capsys, served) == [(1, False, False), (2, True, False)]
    assert "tiny version 2 is loaded" in models(capsys, served, "load", "tiny")
    assert rows(capsys, served) == [(1, False, False), (2, True, True)]
    models(capsys, served, "load", "tiny", "--version", "1")
    assert rows(capsys, served) == [(1, False, True), (2, True, False)], "one at once: the other left"
    models(capsys, served, "unload", "tiny")
    assert rows(capsys, served) == [(1, False, False), (2, True, False)]


def test_triton_configurations_are_written(settings_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = settings_file.parent / "models" / "tiny" / "config.pbtxt"
    made = config.read_text()
    config.write_text("stale")
    assert str(config) in models(capsys, settings_file, "config", "tiny")
    assert config.read_text() == made
    assert "no model 'absent'" in models(capsys, settings_file, "config", "absent", code=1)


def test_the_format_before_contracts_is_refused_and_converted(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = settings_file.parent / "models" / "old"
    shutil.copytree(HN_OAR, folder, ignore=lambda _, names: [n for n in names if n.isdigit() and n != "1"])
    contract = json.loads((folder / "1" / "contract.json").read_text())
    pipeline = contract["runtime"]["pipeline"]
    (folder / "spec.json").write_text(
        json.dumps(
            {
                **{key: contract[key] for key in ("version", "description", "structures")},
                "name": "old",
                "network": contract["runtime"]["networks"]["network"],
                "pipeline": {key: value for key, value in pipeline.items() if key != "name"}
                | {"mirrored_pairs": contract["left_right_pairs"]},
                "provenance": contract["provenance"]
                | {
                    "licence": contract["licence"],
                    "citation": contract["citation"],
                    "weights_sha256": contract["checksums"]["weights.safetensors"],
                },
            }
        )
    )
    (folder / "1" / "contract.json").unlink()
    refused = models(capsys, settings_file, "list", code=1)
    assert f"contour-node models convert {folder}" in refused
    models(capsys, settings_file, "convert", str(folder), "--body-region", "head_neck")
    shown = json.loads(models(capsys, settings_file, "show", "old"))
    assert shown["checksums"] == contract["checksums"]
    assert (folder / "1" / "model.py").read_text() == (HN_OAR / "1" / "model.py").read_text()
    assert "version_1_package_sha256" in (folder / "config.pbtxt").read_text()


def test_publish_hands_run_and_repository_to_training(
    settings_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A folder that is no run is refused by training, in its words; the repository stays as it was."""
    before = sorted((tmp_path / "models").rglob("*"))
    words = [
        "models",
        "--settings",
        str(settings_file),
        "publish",
        str(tmp_path),
        "--data",
        str(tmp_path / "data"),
    ]
    assert main(words) == 1
    assert (
        "dataset.json: No such file or directory. Make it with `contour-node train prepare"
        in capfd.readouterr().err
    )
    assert sorted((tmp_path / "models").rglob("*")) == before

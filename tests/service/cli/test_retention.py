import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.cli.main import main
from service.components import opened_store, prepare
from service.config import load_settings
from service.store import FileStore, InstanceRecorder
from tests.support.arrivals import RT_DOSE, received


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A node that has one object without a job, and keeps such objects for no time."""
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\nstorage_dir = "{tmp_path / "store"}"\n[retention]\nother_objects_days = 0\n',
        encoding="utf-8",
    )
    settings = load_settings(file, {})
    prepare(settings)
    with opened_store(settings) as store, InstanceRecorder(store.database) as recorder:
        dose = received(1, sop_class=RT_DOSE)
        recorder.record(replace(dose, file=store.files.put(dose.sop_instance_uid, b"dose" * 100)))
    return file


def test_a_dry_run_says_what_would_go_and_why_and_removes_nothing(
    settings_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main(["retention", "--dry-run", "--json", "--settings", str(settings_file)]) == 0
        (one,) = json.loads(capsys.readouterr().out)
        assert (one["kind"], one["files"], one["size_bytes"]) == ("other objects", 1, 400)
        assert "opened no job" in one["why"]
    assert main(["retention", "--dry-run", "--settings", str(settings_file)]) == 0
    assert "1 files, 0.0 MB would be removed" in capsys.readouterr().out


def test_verify_lists_what_is_damaged_and_fails(
    settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["verify", "--all", "--settings", str(settings_file)]
    assert main(call) == 0
    (place,) = (tmp_path / "store" / "objects").rglob("*.dcm")
    place.write_bytes(b"dose" * 99 + b"dosf")
    assert main(call) == 1
    assert f"missing or damaged: image {received(1).sop_instance_uid}" in capsys.readouterr().out
    place.write_bytes(b"dose" * 100)
    assert main(call) == 0
    assert FileStore(tmp_path / "store").read(str(place.relative_to(tmp_path / "store"))) == b"dose" * 100


def test_verify_of_a_job_that_is_not_there_is_refused(settings_file: Path) -> None:
    assert main(["verify", "--job", "7", "--settings", str(settings_file)]) == 1

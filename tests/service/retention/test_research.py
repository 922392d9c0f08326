"""Copies out of a node with a real job, and a researcher's structure set back in, by the command line."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import text

from service.cli.main import main
from service.components import Store, opened_store, prepare
from service.config import Settings, load_settings
from service.store import AuditLog, InstanceRecorder, PseudonymRepository
from service.work import Worker
from tests.service.work.test_worker import Server, brainstem_and_larynx, queue_series
from tests.support.clock import ManualClock
from tests.support.models import OneModel
from tests.support.small_node import RULE, SmallNode, model, only, settings


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    file = tmp_path / "node.toml"
    file.write_text(f'[node]\nstorage_dir = "{tmp_path / "store"}"\n', encoding="utf-8")
    return file


@pytest.fixture
def store(settings_file: Path) -> Iterator[Store]:
    """The store of a node that has contoured one phantom."""
    with contoured(settings_file, settings()) as store:
        yield store


@contextmanager
def contoured(settings_file: Path, tree: Settings) -> Iterator[Store]:
    prepare(load_settings(settings_file, {}))
    with (
        opened_store(load_settings(settings_file, {}), may_create=True) as store,
        InstanceRecorder(store.database) as recorder,
    ):
        node = SmallNode(database=store.database, files=store.files, clock=ManualClock(), recorder=recorder)
        queue_series(node)
        Worker(
            name="w",
            queue=node.queue,
            content=node.content,
            server=Server(brainstem_and_larynx),
            models=OneModel(model()),
            rules=only(tree),
            settings=tree,
        ).work_one()
        yield store


def copied(settings_file: Path, out: Path, *more: str) -> list[Path]:
    assert main(["deidentify", *more, "--out", str(out), "--settings", str(settings_file)]) == 0
    return sorted(out.rglob("*.dcm"))


def test_a_job_goes_out_under_a_pseudonym_and_what_is_drawn_on_it_comes_back(
    store: Store, settings_file: Path, tmp_path: Path
) -> None:
    files = copied(settings_file, tmp_path / "out", "--job", "1", "--project", "lung")
    slices = store.book.instances_of(1)
    assert len(files) == len(slices) + 1
    (structure_set,) = [file for file in files if file.name.startswith("RTSTRUCT")]
    original_ct = dcmread(io.BytesIO(store.files.read(slices[0].file.path)))
    copy = dcmread(structure_set)
    assert copy.PatientID == structure_set.parent.name != original_ct.PatientID
    assert [roi.ROIName for roi in copy.StructureSetROISequence] == ["Brainstem", "Larynx"]

    drawn = tmp_path / "drawn.dcm"
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    copy.SeriesInstanceUID = "1.2.3.4.6"
    copy.StructureSetROISequence[0].ROIName = "Drawn by a person"
    copy.save_as(drawn)
    call = ["reidentify", str(drawn), "--out", str(tmp_path / "back"), "--settings", str(settings_file)]
    assert main([*call, "--project", "lung"]) == 0

    back = dcmread(tmp_path / "back" / "drawn.dcm")
    assert (back.PatientID, back.PatientName) == (original_ct.PatientID, original_ct.PatientName)
    assert back.StudyInstanceUID == original_ct.StudyInstanceUID
    referenced = {
        image.ReferencedSOPInstanceUID
        for roi in back.ROIContourSequence
        for contour in roi.ContourSequence
        for image in contour.ContourImageSequence
    }
    assert referenced <= {one.sop_instance_uid for one in slices}
    assert back.StructureSetROISequence[0].ROIName == "Drawn by a person"
    assert "PatientIdentityRemoved" not in back


def test_what_is_not_of_the_project_does_not_come_back(
    store: Store, settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = copied(settings_file, tmp_path / "out", "--job", "1", "--project", "lung")
    structure_set = next(file for file in files if file.name.startswith("RTSTRUCT"))
    call = [
        "reidentify",
        str(structure_set),
        "--out",
        str(tmp_path / "back"),
        "--settings",
        str(settings_file),
    ]
    assert main([*call, "--project", "breast"]) == 1
    assert "there is no project breast; there are: lung" in capsys.readouterr().err

    stranger = dcmread(structure_set)
    stranger.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[
        0
    ].ReferencedSOPInstanceUID = "1.9.9"
    stranger.save_as(structure_set)
    assert main([*call, "--project", "lung"]) == 1
    assert "ReferencedSOPInstanceUID 1.9.9" in capsys.readouterr().err
    assert not (tmp_path / "back").exists()


def test_a_second_run_writes_the_same_files_and_keeps_one_way_back(
    store: Store, settings_file: Path, tmp_path: Path
) -> None:
    series = store.book.job(1).series_uid
    first = copied(settings_file, tmp_path / "one", "--series", series)
    second = copied(settings_file, tmp_path / "two", "--series", series)
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    with store.database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM pseudonym")).scalar_one() == 1


def test_projects_have_secrets_of_their_own(store: Store) -> None:
    pseudonyms = PseudonymRepository(store.database)
    assert pseudonyms.secret("a") == pseudonyms.secret("a") != pseudonyms.secret("b")
    assert len(pseudonyms.secret("a")) == 32


def test_a_damaged_image_is_left_out_and_named(
    store: Store, settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = store.book.instances_of(1)[0]
    (tmp_path / "store" / damaged.file.path).write_bytes(b"x")
    call = ["deidentify", "--job", "1", "--out", str(tmp_path / "out"), "--settings", str(settings_file)]
    assert main(call) == 1
    assert f"left out: image {damaged.sop_instance_uid}" in capsys.readouterr().out


def test_what_has_no_copy_is_counted_by_its_class(
    settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = settings(rules=[{**RULE, "companions": ["segmentation", "report", "capture"]}])
    with contoured(settings_file, tree) as store:
        out = tmp_path / "out"
        call = ["deidentify", "--job", "1", "--project", "lung", "--out", str(out)]
        assert main([*call, "--settings", str(settings_file)]) == 1
        said = capsys.readouterr().out
        made = sorted(file.name.partition(".")[0] for file in out.rglob("*.dcm"))
        assert made == ["CT"] * len(store.book.instances_of(1)) + ["RTSTRUCT", "SEG"]
        counts = "1 Enhanced SR Storage, 1 Secondary Capture Image Storage"
        assert f"{len(made)} files written to " in said
        assert f"2 objects left out: {counts}\n" in said
        assert said.count("left out: job 1, report: ") == said.count("left out: job 1, capture: ") == 1
        *_, event = [entry.event for entry in AuditLog(store.database).entries() if entry.event.role == "cli"]
        assert event.detail == f"project lung, left out: {counts}"


def test_a_result_that_retention_removed_is_told_as_left_out(
    store: Store, settings_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with store.database.writing() as connection:
        connection.execute(text("UPDATE artifact SET removed_at = created_at"))
    call = ["deidentify", "--job", "1", "--project", "lung", "--out", str(tmp_path / "out")]
    assert main([*call, "--settings", str(settings_file)]) == 1
    said = capsys.readouterr().out
    assert "left out: job 1, structure set: its file has expired and was removed" in said
    assert "1 objects left out: 1 expired and removed" in said

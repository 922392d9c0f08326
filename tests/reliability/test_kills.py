"""Hundreds of kills of the receiver, and that what would be wrong is seen."""

from pathlib import Path

import pytest

from reliability.kept import missing_slices
from reliability.kills import kill_receiver
from reliability.series import Slice
from service.config import load_settings
from service.store import Database, FileStore, JobRepository

pytestmark = pytest.mark.network

KILLS = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def acknowledged(folder: Path) -> list[Slice]:
    """What a receiver that was killed two hundred times said yes to."""
    report = kill_receiver(folder, KILLS, seed=1)
    assert report.faults == []
    assert report.kills == KILLS
    assert report.lives_with_success > KILLS / 2
    return report.answers.slices()


@pytest.mark.timeout(900)
def test_what_was_acknowledged_is_there_after_two_hundred_kills(
    folder: Path, acknowledged: list[Slice]
) -> None:
    assert len(acknowledged) > KILLS
    assert found_missing(folder, acknowledged) == []


def test_a_lost_file_a_changed_byte_and_a_lost_row_are_seen(folder: Path, acknowledged: list[Slice]) -> None:
    lost, changed, unknown = acknowledged[0], acknowledged[1], acknowledged[2]
    objects = {path.read_bytes(): path for path in (folder / "store" / "objects").rglob("*.dcm")}
    for data, path in objects.items():
        if data.endswith(lost.data_set):
            path.unlink()
        if data.endswith(changed.data_set):
            path.write_bytes(data[:-1] + b"\x55")
    stranger = Slice(
        sop_instance_uid=f"{unknown.sop_instance_uid}.1",
        series_uid=unknown.series_uid,
        data_set=unknown.data_set,
    )
    found = found_missing(folder, [lost, changed, stranger])
    assert sorted(line.split(" was acknowledged, but ")[1] for line in found) == [
        "it has no file",
        "it has no row",
        "its file has other bytes",
    ]


def found_missing(folder: Path, slices: list[Slice]) -> list[str]:
    settings = load_settings(folder / "settings.toml", {})
    database = Database(settings.database_url)
    try:
        return missing_slices(JobRepository(database), FileStore(settings.node.storage_dir), slices)
    finally:
        database.close()

"""Commits that do not wait for the disk: what brings them back when the database forgets them."""

import shutil
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.store import (
    Database,
    DatabaseUnavailable,
    InstanceRecorder,
    JobRepository,
    RecordOutcome,
    SeriesRepository,
    upgrade,
)
from service.store.intake.async_commit import AsyncCommitConnection
from tests.support.arrivals import SERIES, received


class Syncs:
    """Counts what is brought to the disk."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _descriptor: int) -> None:
        self.count += 1


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    shutil.copy(migrated_sqlite, tmp_path / "node.sqlite")
    return f"sqlite:///{tmp_path / 'node.sqlite'}"


def test_a_row_that_its_file_restores_does_not_wait_for_the_disk(sqlite_url: str) -> None:
    syncs, database = Syncs(), Database(sqlite_url)
    with InstanceRecorder(database, AsyncCommitConnection(database, sync=syncs)) as recorder:
        recorder.record(received(1))
        before = syncs.count
        recorder.record(received(2))
        assert syncs.count <= before + 1  # a settling may fall in between
        began = syncs.count
        resent = received(1, calling="PACS")
        assert (
            recorder.record(replace(resent, file=replace(resent.file, is_new=False)))
            is RecordOutcome.DUPLICATE
        )
        assert syncs.count > began
    database.close()


def test_what_is_recorded_is_settled_within_seconds_and_at_the_end(sqlite_url: str) -> None:
    syncs, database = Syncs(), Database(sqlite_url)
    with InstanceRecorder(database, AsyncCommitConnection(database, sync=syncs)) as recorder:
        recorder.record(received(1))
        deadline = time.monotonic() + 30
        while not syncs.count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert syncs.count
        before = syncs.count
        recorder.record(received(2))
    assert syncs.count > before
    database.close()


def test_the_log_that_cannot_be_synced_is_no_acknowledgement(sqlite_url: str) -> None:
    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    database = Database(sqlite_url)
    with InstanceRecorder(database, AsyncCommitConnection(database, sync=broken)) as recorder:
        recorder.record(received(1))
        resent = received(1, calling="PACS")
        with pytest.raises(DatabaseUnavailable, match="durable"):
            recorder.record(replace(resent, file=replace(resent.file, is_new=False)))
    database.close()


def test_other_connections_see_a_row_as_soon_as_it_is_recorded(database_url: str) -> None:
    database = Database(database_url)
    with InstanceRecorder(database) as recorder:
        recorder.record(received(1))
        assert len(JobRepository(database).instances_of_series(SERIES)) == 1
    database.close()


def test_a_database_that_was_locked_is_recorded_in_once_it_is_free(sqlite_url: str) -> None:
    database = Database(sqlite_url, busy_timeout_s=1)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    with InstanceRecorder(database) as recorder:
        recorder.record(received(1))
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseUnavailable):
            recorder.record(received(2))
        other.execute("ROLLBACK")
        other.close()
        assert recorder.record(received(2)) is RecordOutcome.NEW
    (job,) = SeriesRepository(database).open_jobs()
    assert job.slice_count == 2
    assert len(JobRepository(database).events(job.id)) == 1
    database.close()


@pytest.fixture
def own_postgres() -> Iterator[Any]:
    """A Postgres server that a test may crash."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pgserver

        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        server = pgserver.get_server(folder)
        yield server
        server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.database
@pytest.mark.filterwarnings("ignore")
def test_rows_that_a_crashed_postgres_forgot_are_recorded_again_once_it_is_back(own_postgres: Any) -> None:
    import pgserver

    url = f"postgresql+psycopg://postgres@/postgres?host={own_postgres.pgdata}"
    upgrade(url)
    database = Database(url)
    with InstanceRecorder(database) as recorder:
        recorder.record(received(1))
        for number in range(2, 40):
            recorder.record(received(number))
        arguments = ["stop", "-m", "immediate"]  # as kill -9: nothing is flushed
        pgserver.pg_ctl(arguments, pgdata=own_postgres.pgdata, user=own_postgres.system_user)
        with pytest.raises(DatabaseUnavailable):
            recorder.record(received(50))
        own_postgres.ensure_postgres_running()
        assert _recorded(database, 39)
        assert recorder.record(received(50)) is RecordOutcome.NEW
        (job,) = SeriesRepository(database).open_jobs()
        assert job.slice_count == len(SeriesRepository(database).instances_of(job.id)) == 40
    database.close()


def _recorded(database: Database, count: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if len(JobRepository(database).instances_of_series(SERIES)) == count:
                return True
        except DatabaseUnavailable:
            continue
        time.sleep(0.05)
    return False


@pytest.mark.database
@pytest.mark.filterwarnings("ignore")
def test_a_settling_that_finds_postgres_gone_does_not_end_the_recording(
    own_postgres: Any, caplog: pytest.LogCaptureFixture
) -> None:
    import pgserver

    url = f"postgresql+psycopg://postgres@/postgres?host={own_postgres.pgdata}"
    upgrade(url)
    database = Database(url)
    with InstanceRecorder(database) as recorder:
        recorder.record(received(1))
        pgserver.pg_ctl(
            ["stop", "-m", "immediate"], pgdata=own_postgres.pgdata, user=own_postgres.system_user
        )
        deadline = time.monotonic() + 30
        while "are not durable" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "are not durable" in caplog.text
        own_postgres.ensure_postgres_running()
        recorder.require_alive()
        assert recorder.record(received(2)) is RecordOutcome.NEW
        assert _recorded(database, 2)
    database.close()


def test_the_log_goes_into_the_database_beside_those_who_write(sqlite_url: str, tmp_path: Path) -> None:
    database = Database(sqlite_url)
    with InstanceRecorder(database) as recorder:
        for number in range(
            300
        ):  # their pages would make SQLite's own checkpoint due, in the middle of a commit
            recorder.record(received(number))
        deadline = time.monotonic() + 30
        while _rows_without_log(tmp_path) < 300 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert _rows_without_log(tmp_path) == 300
        recorder.record(received(300))
    database.close()


def _rows_without_log(folder: Path) -> int:
    """How many instances stand in the database's file itself; 0 while it is being written."""
    copy = Path(shutil.copy(folder / "node.sqlite", folder / "copy.sqlite"))
    with closing(sqlite3.connect(copy)) as connection, suppress(sqlite3.DatabaseError):
        return int(connection.execute("SELECT count(*) FROM instance").fetchone()[0])
    return 0

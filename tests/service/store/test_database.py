"""The database that is locked or gone: a typed error, and everything works again when it is back."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from service.store import (
    Database,
    DatabaseUnavailable,
    FileStore,
    InstanceRecorder,
    JobRepository,
    RecordOutcome,
    WorkQueue,
    upgrade,
)
from service.store.jobs.manual_changes import cancel
from tests.support.arrivals import SERIES, received


def test_while_the_database_is_gone_nothing_is_acknowledged_and_afterwards_all_goes_on(
    database_url: str,
) -> None:
    database = Database(database_url, busy_timeout_s=0.2, connect_timeout_s=2)
    with InstanceRecorder(database) as recorder:
        assert recorder.record(received(1)) is RecordOutcome.NEW
        with _gone(database_url):
            with pytest.raises(DatabaseUnavailable):
                recorder.record(received(2))
            with pytest.raises(DatabaseUnavailable), database.writing() as connection:
                cancel(database, connection, 1, "by hand")
        assert recorder.record(received(2)) is RecordOutcome.NEW
        assert len(JobRepository(database).instances_of_series(SERIES)) == 2
    database.close()


def test_an_unreachable_database_is_unavailable(tmp_path: Path) -> None:
    for url in (
        f"sqlite:///{tmp_path}/no/such/folder/node.sqlite",
        f"postgresql+psycopg://u@/x?host={tmp_path}",
    ):
        database = Database(url, connect_timeout_s=2)
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            WorkQueue(database).claim("w1", lease_s=60, max_attempts=3)
        database.close()


def test_a_wrong_statement_is_a_bug_and_not_an_unavailable_database(database: Database) -> None:
    with pytest.raises(SQLAlchemyError), database.writing() as connection:
        connection.execute(text("SELECT nonsense FROM job"))


@pytest.mark.parametrize(
    "change",
    ["state = 'running'", "state = 'queued'", "state = 'flying'", "superseded_by = 4711"],
)
def test_the_schema_itself_forbids_impossible_jobs(database: Database, change: str) -> None:
    with InstanceRecorder(database) as recorder:
        recorder.record(received(1))
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(text(f"UPDATE job SET {change}"))  # noqa: S608 - the words above


def test_commits_on_sqlite_outlast_a_power_cut(migrated_sqlite: Path) -> None:
    database = Database(f"sqlite:///{migrated_sqlite}")
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    database.close()


def test_upgrade_makes_the_folder_of_the_default_database(tmp_path: Path) -> None:
    storage = tmp_path / "new" / "storage"
    upgrade(f"sqlite:///{storage}/contour-node.sqlite")
    FileStore(storage)
    Database(f"sqlite:///{storage}/contour-node.sqlite").check()


@contextmanager
def _gone(url: str) -> Iterator[None]:
    if url.startswith("sqlite"):
        blocker = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        yield
        blocker.execute("ROLLBACK")
        blocker.close()
        return
    parts = urlsplit(url)
    name = parts.path.removeprefix("/")
    with psycopg.connect(
        host=parse_qs(parts.query)["host"][0], user="postgres", dbname="postgres", autocommit=True
    ) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())

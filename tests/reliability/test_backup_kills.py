"""Backups and restores that are killed at random instants."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect

from reliability.backup_kills import kill_backups
from service.errors import Refused
from service.store import (
    Database,
    NotAllowed,
    make_backup,
    read_backup,
    read_hold,
    require_recorded,
    restore,
    upgrade,
)
from service.store.backup import restore as restoring
from service.store.objects import StoredContent
from tests.service.store.test_lost_database import StoreAndFolder


def test_killed_backups_and_restores_leave_nothing_that_passes_for_whole(tmp_path: Path) -> None:
    report = kill_backups(tmp_path, 3, random.Random(str(tmp_path)).randrange(10**6), images=12)
    assert report.faults == []
    assert (report.backups_killed, report.restores_killed) == (3, 3)


def test_a_restore_that_ends_before_its_files_cannot_be_released_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'node.sqlite'}"
    node = StoreAndFolder(tmp_path / "storage", url)
    node.start()
    node.receive(1)
    backup = make_backup(node.database, url, node.content, tmp_path / "backups", with_images=True).folder
    node.database.close()
    place, second = tmp_path / "elsewhere", f"sqlite:///{tmp_path / 'elsewhere' / 'node.sqlite'}"

    def killed(*_: object) -> None:
        raise SystemExit(137)

    for step in ("_hold", "_copy_back"):
        with monkeypatch.context() as patch:
            patch.setattr(restoring, step, killed)
            with pytest.raises(SystemExit):
                restore(second, StoredContent.in_folder(place / "storage"), read_backup(backup))
        if step == "_hold":
            with pytest.raises(Refused, match="was interrupted"):
                upgrade(second)
            _leave_a_log(place / "node.sqlite.restored")
    database = Database(second)
    with database.reading() as connection:
        held = read_hold(connection)
        assert held is not None
        with pytest.raises(NotAllowed, match="files are not all copied"):
            require_recorded(connection)
    with database.reading() as connection:
        assert not inspect(connection).has_table("leftover")
    report = restore(second, StoredContent.in_folder(place / "storage"), read_backup(backup))
    assert (report.files_copied, report.missing) == (1, [])
    with database.reading() as connection, pytest.raises(NotAllowed, match="not all recorded yet"):
        require_recorded(connection)
    database.close()


def _leave_a_log(file: Path) -> None:
    """What a killed restore may leave beside its file: a whole log that was not taken into it."""
    log = file.with_name(f"{file.name}-wal")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        with connection:
            connection.execute("CREATE TABLE leftover (x INTEGER)")
        words = log.read_bytes()
    log.write_bytes(words)

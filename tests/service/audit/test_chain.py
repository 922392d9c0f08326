"""Nothing but the INSERT of a new row works on the trail, and what was done to it by other ways shows."""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.cli.audit import account, administrator
from service.cli.main import main
from service.store import AuditEvent, AuditKind, AuditLog, Database, TrailHead, upgrade
from service.store.audit.log import append_events

# ruff: noqa: S608 - the statements are those of a forger
COLUMNS = "at, kind, outcome, role, actor, address, target, study_uid, sop_classes, instance_count, patient_id, detail"
VALUES = "'2026-01-01 00:00:00', 'looked at', '0', '', 'nobody', '', '', '', '', 0, '', ''"


def look(number: int) -> AuditEvent:
    return AuditEvent(kind=AuditKind.LOOKED_AT, actor=f"physicist {number}", detail="\u202eé[b]")


@pytest.fixture
def trail(database: Database) -> AuditLog:
    """A trail of five entries."""
    log = AuditLog(database)
    for number in range(1, 6):
        log.append([(database.clock(), look(number))])
    return log


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET actor = 'nobody'",
        "UPDATE audit_event SET id = 99 WHERE id = 3",
        "DELETE FROM audit_event WHERE id = 3",
        "TRUNCATE audit_event CASCADE",
        f"REPLACE INTO audit_event (id, {COLUMNS}) VALUES (3, {VALUES})",
        f"INSERT OR REPLACE INTO audit_event (id, {COLUMNS}) VALUES (3, {VALUES})",
        f"INSERT OR IGNORE INTO audit_event (id, {COLUMNS}) VALUES (3, {VALUES})",
        "UPDATE OR REPLACE audit_event SET id = 4 WHERE id = 3",
        f"INSERT INTO audit_event (id, {COLUMNS}) VALUES (3, {VALUES}) ON CONFLICT (id) DO UPDATE SET actor = 'nobody'",
        f"INSERT INTO audit_event (id, {COLUMNS}) VALUES (3, {VALUES})",
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_event",
    ],
)
@pytest.mark.parametrize("recursive", ["OFF", "ON"])
def test_nothing_but_a_new_row_is_taken(
    database: Database, trail: AuditLog, statement: str, recursive: str
) -> None:
    def forge() -> None:
        with database.writing() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql(f"PRAGMA recursive_triggers = {recursive}")
            connection.exec_driver_sql(statement)

    with pytest.raises(DBAPIError):
        forge()
    assert [entry.event.actor for entry in trail.entries()] == [f"physicist {n}" for n in range(1, 6)]
    found = trail.check()
    assert (found.entries, found.broken, found.unguarded) == (5, "", "")


UNGUARD = {
    "sqlite": ("DROP TRIGGER audit_event_stays", "DROP TRIGGER audit_event_is_kept"),
    "postgresql": (
        "ALTER TABLE audit_event DISABLE TRIGGER audit_event_stays",
        "ALTER TABLE audit_event DISABLE TRIGGER audit_event_is_kept",
    ),
}


@pytest.fixture
def unguarded(database: Database) -> Iterator[Database]:
    """The database as somebody leaves it who owns it and means harm."""
    with database.writing() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        for statement in UNGUARD[connection.dialect.name]:
            connection.execute(text(statement))
    yield database
    if not is_sqlite:
        with database.writing() as connection:
            for statement in UNGUARD["postgresql"]:
                connection.execute(text(statement.replace("DISABLE", "ENABLE ALWAYS")))


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE audit_event SET actor = 'nobody' WHERE id = 3", "entry 3 is not what was written"),
        ("UPDATE audit_event SET detail = '' WHERE id = 2", "entry 2 is not"),
        ("UPDATE audit_event SET at = '2020-01-01 00:00:00' WHERE id = 5", "entry 5 is not"),
        ("UPDATE audit_event SET chain = '' WHERE id = 1", "entry 1 is not"),
        ("DELETE FROM audit_event WHERE id = 3", "entry 4 does not follow entry 2"),
        ("DELETE FROM audit_event WHERE id = 1", "entry 2 does not follow entry 0"),
        ("DELETE FROM audit_event WHERE id >= 4", "entry 5, which was noted elsewhere, is not there"),
        (f"INSERT INTO audit_event (id, {COLUMNS}) VALUES (6, {VALUES})", "entry 6 is not"),
    ],
)
def test_the_first_entry_that_was_changed_or_removed_is_named(
    trail: AuditLog, unguarded: Database, statement: str, named: str
) -> None:
    noted = trail.head()
    with unguarded.writing() as connection:
        connection.execute(text("DELETE FROM audit_forwarding"))
        connection.execute(text(statement))
    found = trail.check([noted])
    assert found.broken.startswith(named)
    assert "2 of" in found.unguarded


def test_a_trail_that_was_written_again_as_a_whole_differs_from_what_was_noted_elsewhere(
    trail: AuditLog, unguarded: Database
) -> None:
    noted = trail.head()
    with unguarded.writing() as connection:
        connection.execute(text("DELETE FROM audit_forwarding"))
        connection.execute(text("DELETE FROM audit_event"))
    for number in range(5):
        trail.append([(unguarded.clock(), look(number))])
    assert trail.check().broken == ""
    assert trail.check([noted]).broken == "entry 5 has another hash than was noted elsewhere"
    assert trail.check([TrailHead(id=9, chain="0" * 64)]).broken.startswith(
        "entry 9, which was noted elsewhere, is not there"
    )


def test_many_writers_make_one_chain(database: Database, trail: AuditLog) -> None:
    def write(_: int) -> None:
        for number in range(10):
            trail.append([(database.clock(), look(number)), (database.clock(), look(number))])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    found = trail.check()
    assert (found.entries, found.broken, found.head.id) == (165, "", 165)


def test_what_a_rolled_back_transaction_added_leaves_no_gap(database: Database, trail: AuditLog) -> None:
    def begin_and_fail() -> None:
        with database.writing() as connection:
            append_events(connection, [(database.clock(), look(9))])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        begin_and_fail()
    trail.append([(database.clock(), look(6))])
    assert trail.head().id == 6
    assert trail.check().broken == ""


@pytest.mark.database
def test_an_owner_without_more_rights_adds_and_cannot_change(postgres_server: str) -> None:
    with psycopg.connect(
        host=postgres_server, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("DROP DATABASE IF EXISTS plain_owner")
        connection.execute("DROP ROLE IF EXISTS plain_owner")
        connection.execute("CREATE ROLE plain_owner LOGIN")
        connection.execute("CREATE DATABASE plain_owner OWNER plain_owner")
    url = f"postgresql+psycopg://plain_owner@/plain_owner?host={postgres_server}"
    upgrade(url)
    database = Database(url)
    AuditLog(database).append([(database.clock(), look(1))])
    assert AuditLog(database).check().broken == ""
    with pytest.raises(DBAPIError, match="permission denied"), database.writing() as connection:
        connection.execute(text("DELETE FROM audit_event"))
    database.close()


def test_the_actor_is_the_processes_user_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "the chief physicist")
    monkeypatch.setenv("SUDO_USER", "alice")
    assert account() == pwd.getpwuid(os.getuid()).pw_name
    assert administrator().name == account()
    assert administrator().detail in ("sudo says: for alice", f"signed in as {administrator().detail[13:]}")


def test_the_verb_proves_the_trail_and_says_what_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[node]\nstorage_dir = "{tmp_path / "store"}"\n')
    assert main(["migrate", "--settings", str(settings)]) == 0
    for _ in range(3):
        assert main(["jobs", "--settings", str(settings)]) == 0
    capsys.readouterr()
    call = ["audit", "--verify", "--settings", str(settings)]
    assert main(call) == 0
    said = capsys.readouterr().out
    assert said.startswith("3 entries are unchanged; the newest is 3:")
    head = said.split()[-1]
    assert main([*call, "--expect", head]) == 0
    assert main([*call, "--expect", "3:" + "0" * 64]) == 1
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DROP TRIGGER audit_event_stays');"
        "c.execute(\"UPDATE audit_event SET actor = 'x' WHERE id = 2\"); c.commit()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "store" / "contour-node.sqlite")], check=True)
    capsys.readouterr()
    assert main([*call, "--json"]) == 1
    printed = capsys.readouterr().out
    assert "entry 2 is not what was written" in printed
    assert "1 of 3 triggers" in printed

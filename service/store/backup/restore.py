"""Restore a node from a backup: the database, the stored files that are available, and a list of missing ones."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.store.audit.chain import guard_trail
from service.store.backup.backup_folder import Backup, NamedFile, copy_stream, named_files
from service.store.backup.database_copy import load_database, require_empty, sqlite_file
from service.store.database import Database
from service.store.errors import FileLost
from service.store.files.part_files import sync, translated
from service.store.migrations.migrate import has_schema, restored_part, upgrade
from service.store.node.identity import NodeIdentity
from service.store.node.recovery_decision import FILES_MISSING, read_hold
from service.store.objects.object_store import is_published
from service.store.objects.stored_content import StoredContent


@dataclass(frozen=True, kw_only=True)
class RestoreReport:
    """What was restored, and what is missing."""

    files_there: int  # in the storage folder already
    files_copied: int  # from the backup
    missing: Sequence[NamedFile]  # a row names them, and neither storage folder nor backup has them
    unknown: int  # stored files without a row: received or made after the backup


def restore(url: str, content: StoredContent, backup: Backup) -> RestoreReport:
    """Restore a backup's database, where there is none yet, and its stored files; the node is held afterwards.

    Files that are in the storage folder stay. The database is either there, complete and held, or not there at all.
    Until every file has been copied, nobody can release the node; a second call with the same backup copies the rest.

    Raises:
        NotAllowed: there is a database already.
        Refused, DatabaseUnavailable, StorageUnavailable: nothing was restored, or files are not copied yet.
    """
    root = content.received.root
    why = f"restored from the backup of {backup.made_at}: what was received and sent since is not known"
    unfinished = f"{why}; {FILES_MISSING}"
    if _held_for(url) not in (why, unfinished):
        require_empty(url)
        _restore_database(url, root, backup, unfinished)
    database = Database(url)
    try:
        with database.reading() as connection:
            named = named_files(connection)
        copied, there, missing = _copy_back(backup.objects, content, named)
        os.sync()
        with database.writing() as connection:
            NodeIdentity(database, root).hold(connection, why)
    finally:
        database.close()
    every = sum(len(found) for _, found in content.received.folders())
    every += sum(1 for _ in content.published.list_objects())
    return RestoreReport(
        files_there=there,
        files_copied=copied,
        missing=missing,
        unknown=every - (len(named) - len(missing)),
    )


def _held_for(url: str) -> str:
    """Return why the node of a database is held; empty if it is not, or if there is no database."""
    if not has_schema(url):
        return ""
    database = Database(url)
    try:
        with database.reading() as connection:
            held = read_hold(connection)
    finally:
        database.close()
    return "" if held is None else held.reason


def _restore_database(url: str, root: Path, backup: Backup, why: str) -> None:
    if not url.startswith("sqlite"):
        load_database(url, backup.database)
        _hold(url, root, why)
        return
    target = sqlite_file(url)
    part = restored_part(target)
    for leftover in (
        part,
        *_logs(part),
    ):  # of a restore that was killed: its log would be replayed into the new copy
        leftover.unlink(missing_ok=True)
    load_database(f"sqlite:///{part}", backup.database)
    _hold(f"sqlite:///{part}", root, why)
    _put_in_place(part, target)


def _logs(file: Path) -> tuple[Path, Path]:
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def _copy_back(
    source: Path, content: StoredContent, files: Sequence[NamedFile]
) -> tuple[int, int, list[NamedFile]]:
    """Copy the files that are not there; return how many were copied, how many were there, and which are missing."""
    copied = there = 0
    missing: list[NamedFile] = []
    for one in files:
        if _is_there(content, one):
            there += 1
        elif _brought_back(source / one.path, content, one):
            copied += 1
        else:
            missing.append(one)
    return copied, there, missing


def _is_there(content: StoredContent, one: NamedFile) -> bool:
    try:
        with content.open(one.path) as stream:
            return stream.seek(0, os.SEEK_END) == one.size_bytes
    except FileLost:
        return False


def _brought_back(saved: Path, content: StoredContent, one: NamedFile) -> bool:
    with translated(f"{saved} cannot be copied"):
        if not saved.is_file() or saved.stat().st_size != one.size_bytes:
            return False
        if is_published(one.path):
            content.published.put(one.path, saved.read_bytes())
            return True
        with saved.open("rb") as stream:
            return copy_stream(stream, content.received.root / one.path, one.size_bytes)


def _hold(url: str, root: Path, why: str) -> None:
    upgrade(url)
    database = Database(url)
    try:
        identity = NodeIdentity(database, root)
        identity.settle()
        with database.writing() as connection:
            guard_trail(connection)
            identity.hold(connection, why)
    finally:
        database.close()


def _put_in_place(part: Path, target: Path) -> None:
    with translated(f"{target} cannot be written"):
        for leftover in _logs(target):  # of a database that is no longer there
            leftover.unlink(missing_ok=True)
        if any(log.exists() for log in _logs(part)):
            raise AssertionError(f"{part} is closed, but its log is still there")
        part.replace(target)
        Path(f"{part}.lock").unlink(missing_ok=True)
        sync(target.parent)

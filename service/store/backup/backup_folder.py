"""Backups in a folder: one folder each with the database, and the stored files of all of them once.

FOLDER/2026-03-01T020000Z/backup.json       what it is; it is written last
FOLDER/2026-03-01T020000Z/database.sqlite   or database.pgdump
FOLDER/objects/..                           received files, by the names that the storage folder gives them
FOLDER/artifacts/..                         published objects, by their keys
"""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import UnsupportedOperation
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, Table, func, select

from service.errors import Refused
from service.store.audit.chain import newest_entry
from service.store.backup.database_copy import copy_database, copy_name, file_sha256
from service.store.database import Database
from service.store.errors import FileLost
from service.store.files.part_files import translated, write_json
from service.store.migrations.migrate import newest
from service.store.objects.stored_content import StoredContent
from service.store.tables.artifact_schema import artifact
from service.store.tables.node_schema import node
from service.store.tables.schema import instance, job

MANIFEST = "backup.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A stored file that a row names, and the name shown for it."""

    path: str
    size_bytes: int
    belongs_to: str  # "series <uid>" or "job <number>"


@dataclass(frozen=True, kw_only=True)
class BackupReport:
    """What was copied, and what was missing."""

    folder: Path
    files_copied: int
    files_kept: int  # an earlier backup had them
    missing: Sequence[NamedFile]  # a row names them, and they are not in the storage folder


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A complete backup, as described by its backup.json."""

    folder: Path
    made_at: str
    schema: str
    database: Path
    has_images: bool

    @property
    def objects(self) -> Path:
        """The folder with the stored files of this backup and of those next to it."""
        return self.folder.parent


def make_backup(
    database: Database, url: str, content: StoredContent, target: Path, *, with_images: bool
) -> BackupReport:
    """Copy the database, and with ``with_images`` every stored file that it names, into a new folder below ``target``.

    The database comes first: a file is durable before its row, so that every row of the copy has its file, unless
    retention removed it since. An interrupted backup has no backup.json and is not valid.

    Raises:
        Refused, DatabaseUnavailable, StorageUnavailable: there is no backup.
    """
    now = database.clock()
    with translated(f"{target} cannot be written"):
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = target / f"{now:%Y-%m-%dT%H%M%SZ}"
        folder.mkdir(mode=0o700)
    copy = folder / copy_name(url)
    copy_database(url, copy)
    with database.reading() as connection:
        facts = _facts(connection)
        named = named_files(connection) if with_images else []
    copied, kept, missing = copy_files(content, target, named)
    if missing:  # retention may have removed them meanwhile: then their rows say so
        with database.reading() as connection:
            still = {one.path for one in named_files(connection)}
        missing = [one for one in missing if one.path in still]
    manifest = {
        "format": FORMAT,
        "made_at": now.isoformat(timespec="seconds"),
        "schema": newest(),
        "database": copy.name,
        "database_sha256": file_sha256(copy),
        "has_images": with_images,
        "missing": [vars(one) for one in missing],
        **facts,
    }
    os.sync()  # the stored files; one by one they would take a flush each
    write_json(folder / MANIFEST, manifest)
    return BackupReport(folder=folder, files_copied=copied, files_kept=kept, missing=missing)


def read_backup(folder: Path) -> Backup:
    """Return a complete backup.

    Raises:
        Refused: it is not a backup, it is incomplete, or a newer version of the program made it.
    """
    file = folder / MANIFEST
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        backup = Backup(
            folder=folder.absolute(),
            made_at=str(tree["made_at"]),
            schema=str(tree["schema"]),
            database=folder / Path(tree["database"]).name,
            has_images=bool(tree["has_images"]),
        )
        is_known = int(tree["format"]) == FORMAT and backup.schema <= newest()
        sha256 = str(tree["database_sha256"])
    except FileNotFoundError as error:
        raise Refused(f"{folder} is not a complete backup: it has no {MANIFEST}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{file} cannot be read as a backup: {error}") from error
    if not is_known:
        raise Refused(
            f"{folder} was made by a newer version of this program (schema {backup.schema}): install that one"
        )
    if file_sha256(backup.database) != sha256:
        raise Refused(f"{backup.database} is damaged: its checksum is not the one in {MANIFEST}")
    return backup


def named_files(connection: Connection) -> list[NamedFile]:
    """Return every stored file that a row names and that was not removed, each once."""
    found: dict[str, NamedFile] = {}
    received = select(instance.c.path, instance.c.size_bytes, instance.c.series_uid).where(
        instance.c.removed_at.is_(None)
    )
    for row in connection.execute(received):
        found[row.path] = NamedFile(
            path=row.path, size_bytes=row.size_bytes, belongs_to=f"series {row.series_uid}"
        )
    made = select(artifact.c.path, artifact.c.size_bytes, artifact.c.job_id).where(
        artifact.c.removed_at.is_(None)
    )
    for one in connection.execute(made.order_by(artifact.c.id)):
        owner = f"job {one.job_id}"
        found.setdefault(one.path, NamedFile(path=one.path, size_bytes=one.size_bytes, belongs_to=owner))
    return list(found.values())


def copy_files(
    content: StoredContent, target: Path, files: Iterable[NamedFile]
) -> tuple[int, int, list[NamedFile]]:
    """Copy what the target lacks; return how many were copied, how many existed, and which are missing."""
    copied = kept = 0
    missing: list[NamedFile] = []
    for one in files:
        place = target / one.path
        with translated(f"{place} cannot be written"):
            if place.exists() and place.stat().st_size == one.size_bytes:
                kept += 1
            elif _copied(content, one, place):
                copied += 1
            else:
                missing.append(one)
    return copied, kept, missing


def _copied(content: StoredContent, one: NamedFile, place: Path) -> bool:
    try:
        source = content.open(one.path)
    except FileLost:
        return False
    with source:
        return copy_stream(source, place, one.size_bytes)


def copy_stream(source: BinaryIO, place: Path, size_bytes: int) -> bool:
    """Copy a stored file with its time, which says when an image arrived; False if the stream has another size."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    with part.open("wb") as target:
        shutil.copyfileobj(source, target)
    part.chmod(0o600)
    if part.stat().st_size != size_bytes:
        part.unlink()
        return False
    with suppress(UnsupportedOperation):  # a stream that is not a file has no time
        status = os.fstat(source.fileno())
        os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
    part.replace(place)
    return True


def _facts(connection: Connection) -> dict[str, Any]:
    row = connection.execute(select(node)).one_or_none()
    return {
        "identity": "" if row is None else row.identity,
        "generation": 0 if row is None else row.generation,
        "trail": vars(newest_entry(connection)),
        "jobs": _count(connection, job),
        "images": _count(connection, instance),
    }


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())

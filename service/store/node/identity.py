"""Whether database and storage folder belong together, and are from the same moment.

Both carry one identity, and a generation that goes up every minute and before anything is sent to a destination:
first in the database, then in node.json. So a database that does not know of a delivery has a lower generation than
the folder, and so has one that was lost, emptied or replaced by an older one; a folder from another disk has another
identity. If they do not match, the node receives, but neither contours nor delivers until a person has decided
(`contour-node recover`).
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, select, text, update

from service.store.audit.chain import TrailHead, newest_entry
from service.store.database import Database
from service.store.files.part_files import translated
from service.store.node.folder_mark import NAME, FolderMark, read_mark, write_mark
from service.store.objects.object_store import ARTIFACTS
from service.store.tables.audit_schema import audit_event
from service.store.tables.node_schema import node
from service.store.tables.schema import instance, job

log = logging.getLogger(__name__)
LOCK = 7261938  # any number; every process of this node uses it, and nothing else does
TICK = timedelta(milliseconds=1)
NOT_STARTED = "the node has no identity yet: it gets one when its roles start"
STORED_IN = ("objects", ARTIFACTS)
DECIDE = "decide with `contour-node recover`"


class NodeIdentity:
    """The identity of one database and one storage folder."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def settle(self) -> str:
        """Give a new node its identity, or hold one whose database and folder do not match; return why, or "".

        Every role calls it before it starts its work; several may call it at once.

        Raises:
            DatabaseUnavailable, StorageUnavailable: it is not known whether they match.
        """
        with self._marking(), self._database.writing() as connection:
            _lock(connection)
            mark = read_mark(self._root)  # under the locks: another role may just have created both
            row = _row(connection)
            if row is None:
                reason = _strangers(connection, mark, has_files=self._has_files())
                row = self._begin(connection, mark, reason)
            else:
                reason = _mismatch(connection, row, mark)
            if reason and row.held_since is None:
                self._hold(connection, reason)
        if reason:
            log.error("the node is held: %s; %s", row.held_reason or reason, DECIDE)
        return str(row.held_reason) or reason

    def why_held(self) -> str:
        """Say why the node may neither contour nor deliver now; empty if it may.

        Raises:
            DatabaseUnavailable, StorageUnavailable: it is not known whether it may.
        """
        mark = read_mark(self._root)
        while True:
            reason = self._why_held(mark)
            again = read_mark(self._root)
            if not reason or again == mark:
                return reason
            mark = again  # another process wrote a mark between the two reads

    def _why_held(self, mark: FolderMark | None) -> str:
        with self._database.reading() as connection:
            row = _row(connection)
            if row is None:
                return NOT_STARTED
            return str(row.held_reason) or _mismatch(connection, row, mark)

    def why_not_assembling(self) -> str:
        """Say why no series may be closed now: the node is held, or files are still being recorded; else empty."""
        with self._database.reading() as connection:
            row = _row(connection)
        if row is not None and row.recovering_since is not None:
            return "stored files without a row are being recorded; series are examined after that"
        return self.why_held()

    def mark(self) -> bool:
        """Increase the generation by one, in the database and then in the folder; False if the node is held.

        Once it returns True, a database from an earlier moment no longer matches the folder. Safe to call from many
        processes.

        Raises:
            DatabaseUnavailable, StorageUnavailable: it is not certain that both have it.
        """
        with self._marking():
            mark = read_mark(self._root)
            if mark is None or self._why_held(mark):
                return False
            with self._database.reading() as connection:
                row = connection.execute(select(node)).one()
                now = _mark_of(connection, row)
            if row.generation > mark.generation:  # a process was killed between the two writes
                write_mark(self._root, now)
            with self._database.writing() as connection:
                row = connection.execute(
                    update(node).values(generation=node.c.generation + 1).returning(node)
                ).one()
                now = _mark_of(connection, row)
            write_mark(self._root, now)
            return True

    @contextmanager
    def _marking(self) -> Iterator[None]:
        """Keep out every other process that compares or changes the two."""
        with translated(f"the storage folder {self._root} cannot be locked"):
            folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def begin_recovery(self) -> None:
        """Note that files without a row are about to be recorded: no series is closed until end_recovery()."""
        with self._database.writing() as connection:
            connection.execute(update(node).values(recovering_since=self._database.clock()))

    def end_recovery(self) -> None:
        """Note that every file has its row."""
        with self._database.writing() as connection:
            connection.execute(
                update(node).values(recovering_since=None, recovered_at=self._database.clock())
            )

    def hold(self, connection: Connection, reason: str) -> None:
        """Hold the node in the caller's transaction, whatever database and folder say."""
        self._hold(connection, reason)

    def release(self, connection: Connection) -> FolderMark:
        """End the hold in the caller's transaction; return the mark, which is to be written after the commit."""
        old = read_mark(self._root)
        ahead = 0 if old is None else old.generation
        row = connection.execute(
            update(node)
            .values(
                held_since=None,
                held_reason="",
                generation=max(ahead, _generation(connection)) + 1,
            )
            .returning(node)
        ).one()
        return _mark_of(connection, row)

    def write(self, mark: FolderMark) -> None:
        """Write the folder's mark."""
        write_mark(self._root, mark)

    def _begin(self, connection: Connection, mark: FolderMark | None, reason: str) -> Row[Any]:
        """Insert the node's row; the folder keeps its identity, or gets one if nothing has to be decided."""
        identity, generation = (str(uuid4()), 0) if mark is None else (mark.identity, mark.generation)
        if mark is None and not reason:
            first = FolderMark(
                identity=identity, generation=0, trail=TrailHead(id=0, chain=""), has_jobs=False
            )
            write_mark(self._root, first)
        return connection.execute(
            node.insert().values(number=1, identity=identity, generation=generation).returning(node)
        ).one()

    def _hold(self, connection: Connection, reason: str) -> None:
        """Hold the node from now on; no file that is there is taken for a later one, whatever its time says."""
        since = max([self._database.clock(), *map(_just_after, self._files())])
        connection.execute(update(node).values(held_since=since, held_reason=reason, recovered_at=None))

    def _has_files(self) -> bool:
        return next(self._files(), None) is not None

    def _files(self) -> Iterator[Path]:
        return chain.from_iterable(self._root.glob(f"{folder}/??/*.dcm") for folder in STORED_IN)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _row(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(node)).one_or_none()


def _generation(connection: Connection) -> int:
    return int(connection.execute(select(node.c.generation)).scalar_one())


def _mark_of(connection: Connection, row: Row[Any]) -> FolderMark:
    return FolderMark(
        identity=row.identity,
        generation=row.generation,
        trail=newest_entry(connection),
        has_jobs=_has_any(connection, job.c.id),
    )


def _strangers(connection: Connection, mark: FolderMark | None, *, has_files: bool) -> str:
    """Say why a database without an identity does not belong to the folder: only one of them is new; else empty."""
    has_rows = _has_any(connection, instance.c.id) or _has_any(connection, job.c.id)
    if has_files and not has_rows:
        return "the database has no record of the files in the storage folder: it is new, or was emptied"
    if mark is not None and mark.generation > 0:
        return f"the database is new, or older than the storage folder: {NAME} there has an identity, the database has none"
    names_files = select(instance.c.id).where(instance.c.removed_at.is_(None)).limit(1)
    if has_rows and not has_files and connection.execute(names_files).first() is not None:
        return "the storage folder has none of the files that the database names: is its disk mounted?"
    return ""


def _mismatch(connection: Connection, row: Row[Any], mark: FolderMark | None) -> str:
    if mark is None:
        return f"the storage folder has no readable {NAME}: it is not the one that belongs to this database"
    if mark.identity != row.identity:
        return "the database and the storage folder belong to two nodes: their identities differ"
    return _other_time(row, mark) or _emptied(connection, mark)


def _other_time(row: Row[Any], mark: FolderMark) -> str:
    if row.generation < mark.generation:
        return (
            f"the database is older than the storage folder (generation {row.generation}, the folder's is "
            f"{mark.generation}): it has no record of what was received and sent since"
        )
    if row.generation > mark.generation + 1:
        return (
            f"the storage folder is older than the database (generation {mark.generation}, the database's is "
            f"{row.generation}): files that were stored since are missing"
        )
    return ""


def _emptied(connection: Connection, mark: FolderMark) -> str:
    if mark.has_jobs and not _has_any(connection, job.c.id):
        return "the database no longer has any job: it was emptied"
    return (
        ""
        if _has_entry(connection, mark.trail)
        else "the database lacks the audit trail entry that is recorded in the storage folder"
    )


def _has_entry(connection: Connection, head: TrailHead) -> bool:
    found = select(audit_event.c.chain).where(audit_event.c.id == head.id)
    return head.id == 0 or connection.execute(found).scalar_one_or_none() == head.chain


def _just_after(file: Path) -> datetime:
    """Return the earliest time at which another file would be newer than this one."""
    try:
        return datetime.fromtimestamp(file.stat().st_mtime, UTC) + TICK
    except FileNotFoundError:
        return datetime.min.replace(tzinfo=UTC)


def _has_any(connection: Connection, column: Any) -> bool:
    return connection.execute(select(column).limit(1)).first() is not None

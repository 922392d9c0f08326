"""The store's interface for the role `retention`: what may be removed, what is marked, and what is to be verified."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, delete, exists, func, or_, select, update

from service.store.audit.log import append_events, removal_event
from service.store.clock_steps import TOLERANCE
from service.store.database import Database
from service.store.jobs.integrity import artifacts_damaged, images_damaged, images_whole
from service.store.records import StoredFile
from service.store.retention.expiry import (
    Condition,
    RetainedKind,
    RetentionPolicy,
    expiry_conditions,
    has_the_image,
)
from service.store.states import artifact_words
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import instance, job, removal


@dataclass(frozen=True, kw_only=True)
class ExpiredFile:
    """A file whose time is over: the row that names it, and how people know it."""

    kind: RetainedKind
    row_id: int
    belongs_to: str  # "series <uid>" or "job <number>"
    study_uid: str  # of a received file; empty for an artifact
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class VerifiableFile:
    """A stored file and the row that has its checksum."""

    table: str
    row_id: int
    name: str  # SOP Instance UID of a received file; job and kind of an artifact
    file: StoredFile


class RetentionStore:
    """What may be removed and what is damaged. Only what is marked here first is ever removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def expired(self, policy: RetentionPolicy, *, limit: int | None = None) -> list[ExpiredFile]:
        """Return the files that may be removed now; within each kind, those that came first are first."""
        now = self._database.clock()
        found: list[ExpiredFile] = []
        with self._database.reading() as connection:
            for kind, condition in expiry_conditions(policy, now).items():
                table = _table_of(kind)
                # By number, not by time: the database stops at the limit and need not examine every row first.
                rows = connection.execute(select(table).where(condition).order_by(table.c.id).limit(limit))
                found += [_expired(kind, row) for row in rows]
        return found

    def mark(self, policy: RetentionPolicy, expired: Collection[ExpiredFile]) -> list[ExpiredFile]:
        """Mark, in one transaction, those of the files that may still be removed; they are unlinked afterwards."""
        now = self._database.clock()
        conditions = expiry_conditions(policy, now)
        marked: list[ExpiredFile] = []
        with self._database.writing() as connection:
            self._hold_the_jobs(connection, expired)
            for kind, condition in conditions.items():
                table = _table_of(kind)
                ids = [one.row_id for one in expired if one.kind is kind]
                rows = connection.execute(
                    update(table)
                    .where(table.c.id.in_(ids), condition)
                    .values(removed_at=now)
                    .returning(*table.c)
                ).all()
                marked += [_expired(kind, row) for row in rows]
                for path in sorted({row.path for row in rows}):
                    connection.execute(
                        self._database.insert(removal)
                        .values(path=path, marked_at=now)
                        .on_conflict_do_update(index_elements=["path"], set_={"marked_at": now})
                    )
            owners = Counter(
                (f"{one.kind} after their time", one.belongs_to, one.study_uid) for one in marked
            )
            append_events(
                connection, [(now, removal_event(*owner, files)) for owner, files in owners.items()]
            )
        return marked

    def to_unlink(self) -> list[tuple[str, datetime]]:
        """Return the paths whose rows are marked, and when they were.

        A mark from the future waits: the clock was set back, and a file written since would look older than the mark.
        """
        marked = select(removal).where(removal.c.marked_at <= self._database.clock())
        with self._database.reading() as connection:
            return [(row.path, row.marked_at) for row in connection.execute(marked)]

    def unlinked(self, path: str, marked_at: datetime) -> None:
        """Forget a path that is gone, unless it was marked again."""
        with self._database.writing() as connection:
            connection.execute(
                delete(removal).where(removal.c.path == path, removal.c.marked_at == marked_at)
            )

    def unnamed(self, keys: Collection[str]) -> frozenset[str]:
        """Return those of the given keys that no artifact, or only removed ones, have."""
        query = select(artifact.c.path).where(artifact.c.path.in_(keys), artifact.c.removed_at.is_(None))
        with self._database.reading() as connection:
            return frozenset(keys) - frozenset(connection.execute(query).scalars())

    def to_verify(
        self, not_since: datetime | None = None, *, job_id: int | None = None, limit: int | None = None
    ) -> list[VerifiableFile]:
        """Return kept files; first those that were verified, or stored, longest ago.

        Args:
            not_since: leaves out what is damaged, and what was verified or stored later (but not in the future).
            job_id: only the images of this job and what was made for it.
            limit: at most so many.
        """
        found: list[tuple[datetime, VerifiableFile]] = []
        with self._database.reading() as connection:
            for table, came in ((instance, instance.c.received_at), (artifact, artifact.c.created_at)):
                last = func.coalesce(table.c.verified_at, came, type_=came.type)
                query = select(table, last.label("last")).where(table.c.removed_at.is_(None))
                if not_since is not None:
                    is_old = or_(last <= not_since, last > self._database.clock() + TOLERANCE)
                    query = query.where(is_old, table.c.damaged_at.is_(None))
                if job_id is not None:
                    query = query.where(_of_job(table, job_id))
                rows = connection.execute(query.order_by(last, table.c.id).limit(limit))
                found += [(row.last, _checkable(table, row)) for row in rows]
        found.sort(key=lambda pair: pair[0])
        return [one for _, one in found[:limit]]

    def checked(self, one: VerifiableFile, *, whole: bool) -> bool:
        """Record the result of a verification; False if the row now has another file, or none."""
        now = self._database.clock()
        table = instance if one.table == instance.name else artifact
        same = (
            table.c.id == one.row_id,
            table.c.path == one.file.path,
            table.c.sha256 == one.file.sha256,
            table.c.removed_at.is_(None),
        )
        with self._database.writing() as connection:
            row = connection.execute(select(table).where(*same).with_for_update()).one_or_none()
            if row is None:
                return False
            if not whole:
                (images_damaged if table is instance else artifacts_damaged)(connection, now, *same)
                return True
            if row.damaged_at is not None and table is instance:
                images_whole(connection, now, [row.id], "its checksum is right")
            connection.execute(update(table).where(*same).values(verified_at=now, damaged_at=None))
            return True

    def _hold_the_jobs(self, connection: Any, expired: Collection[ExpiredFile]) -> None:
        """Lock every job that might need the files again, so that nobody can order a rerun meanwhile."""
        ids = [one.row_id for one in expired if one.kind is RetainedKind.IMAGES]
        series = select(instance.c.series_uid).where(instance.c.id.in_(ids))
        artifacts = [one.row_id for one in expired if one.kind is RetainedKind.ARTIFACTS]
        made_for = select(artifact.c.job_id).where(artifact.c.id.in_(artifacts))
        connection.execute(
            select(job.c.id)
            .where(or_(job.c.series_uid.in_(series), job.c.id.in_(made_for)))
            .order_by(job.c.id)
            .with_for_update()
        )


def _table_of(kind: RetainedKind) -> Table:
    return artifact if kind is RetainedKind.ARTIFACTS else instance


def _expired(kind: RetainedKind, row: Row[Any]) -> ExpiredFile:
    made = kind is RetainedKind.ARTIFACTS
    return ExpiredFile(
        kind=kind,
        row_id=row.id,
        belongs_to=f"job {row.job_id}" if made else f"series {row.series_uid}",
        study_uid="" if made else row.study_uid,
        size_bytes=row.size_bytes,
    )


def _of_job(table: Table, job_id: int) -> Condition:
    if table is artifact:
        return artifact.c.job_id == job_id
    return exists().where(has_the_image(), job.c.id == job_id)


def _name_of(row: Row[Any]) -> str:
    return f"job {row.job_id}, {artifact_words(row.role, row.kind)}"


def _checkable(table: Table, row: Row[Any]) -> VerifiableFile:
    received = table is instance
    return VerifiableFile(
        table=table.name,
        row_id=row.id,
        name=f"image {row.sop_instance_uid}" if received else _name_of(row),
        file=StoredFile(
            path=row.path,
            size_bytes=row.size_bytes,
            sha256=row.sha256,
            header_bytes=row.header_bytes if received else 0,
        ),
    )

"""What one transaction writes for a batch of received instances: rows, sources, and jobs opened or updated.

The three statements that a slice of an ordinary series needs are prepared. Rare cases (a slice that is kept already, a
job to be opened) take the slower path.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select, update
from sqlalchemy.engine.interfaces import DBAPICursor

from service.store.database import Database
from service.store.intake.prepared import PreparedStatement, Values
from service.store.intake.reingest import Identity, restore_removed_instances
from service.store.jobs.cancelled_series import open_if_sent_whole
from service.store.jobs.versions import SeriesKey, note_in_latest, open_version
from service.store.records import CT_SOP_CLASSES, ReceivedInstance
from service.store.states import OPEN, EventKind, JobState, RecordOutcome
from service.store.tables.schema import instance, instance_source, job

REFUSED = frozenset({RecordOutcome.CONFLICT, RecordOutcome.OTHER_SYNTAX})
INSTANCE_COLUMNS = (
    "sop_instance_uid",
    "sop_class_uid",
    "series_uid",
    "study_uid",
    "modality",
    "transfer_syntax_uid",
    "peer_host",
    "path",
    "size_bytes",
    "header_bytes",
    "sha256",
    "received_at",
)


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """What became of a batch."""

    outcomes: list[RecordOutcome]  # of each, in order
    needs_disk: bool  # something was recorded that no file of this batch could restore


@dataclass(frozen=True, kw_only=True)
class InsertResult:
    """What became of the instances of a batch, before their senders are recorded."""

    outcomes: list[RecordOutcome]
    ids: Mapping[Identity, int]  # of their rows
    inserted: frozenset[int]  # the rows that cannot have a source yet
    revived: bool  # a row whose file was gone or damaged got a new file


@dataclass(frozen=True)
class WriteTransaction:
    """The transaction that a batch is written in."""

    connection: Connection
    cursor: DBAPICursor
    now: datetime
    is_quiet: bool  # what was known already is not an event


class InstanceWriter:
    """Writes batches; one per database, for any of its transactions."""

    def __init__(self, database: Database, opening: Collection[str] = CT_SOP_CLASSES) -> None:
        """Take the SOP classes of images that open a job: ``opening``."""
        self._database = database
        self.opening = frozenset(opening)
        dialect = database.dialect
        self._keep = PreparedStatement(
            database.insert(instance)
            .on_conflict_do_nothing(index_elements=["sop_instance_uid", "study_uid"])
            .returning(instance.c.id),
            dialect,
            columns=INSTANCE_COLUMNS,
        )
        self._touch = PreparedStatement(
            update(job)
            .where(
                job.c.series_uid == bindparam("of_series"),
                job.c.study_uid == bindparam("of_study"),
                job.c.called_aet == bindparam("of_called"),
                job.c.calling_aet == bindparam("of_calling"),
                or_(*(job.c.state == state for state in sorted(OPEN))),
            )
            .values(slice_count=job.c.slice_count + bindparam("added"), last_received_at=bindparam("now"))
            .returning(job.c.id, job.c.version),
            dialect,
        )
        self._add_source = PreparedStatement(
            database.insert(instance_source).on_conflict_do_nothing(),
            dialect,
            columns=("instance_id", "called_aet", "calling_aet", "version"),
        )

    def record(
        self,
        connection: Connection,
        cursor: DBAPICursor,
        batch: Sequence[ReceivedInstance],
        *,
        is_quiet: bool = False,
    ) -> BatchResult:
        """Record the batch in the caller's transaction; ``is_quiet``: what is known already makes no event."""
        transaction = WriteTransaction(connection, cursor, self._database.clock(), is_quiet)
        kept = self._keep_instances(transaction, batch)
        by_requester: dict[SeriesKey, list[ReceivedInstance]] = defaultdict(list)
        conflicts: dict[SeriesKey, list[str]] = defaultdict(list)
        for received, outcome in zip(batch, kept.outcomes, strict=True):
            if outcome in REFUSED:
                conflicts[_requester(received)].append(received.sop_instance_uid)
            elif received.sop_class_uid in self.opening:
                by_requester[_requester(received)].append(received)
        needs_disk = kept.revived or any(not received.file.is_new for received in batch)
        for requester in sorted(
            by_requester
        ):  # always in the same order, so that two recorders cannot deadlock
            needs_disk |= self._note(transaction, requester, by_requester[requester], kept)
        for requester in sorted(conflicts) if not is_quiet else ():
            uid = conflicts[requester][0]
            message = f"refused: another image with the SOP Instance UID {uid} is already kept"
            note_in_latest(connection, requester, EventKind.CONFLICT, message, transaction.now)
        return BatchResult(outcomes=kept.outcomes, needs_disk=needs_disk)

    def _keep_instances(
        self, transaction: WriteTransaction, batch: Sequence[ReceivedInstance]
    ) -> InsertResult:
        """Insert the instances that are not recorded yet, and restore those whose files are gone."""
        first = {_identity(received): received for received in reversed(batch)}
        ids: dict[Identity, int] = {}
        for identity in sorted(first):
            row = self._keep.one(transaction.cursor, _instance_values(first[identity], transaction.now))
            if row is not None:
                ids[identity] = row[0]
        inserted = frozenset(ids.values())
        if len(inserted) == len(batch):
            return InsertResult(
                outcomes=[RecordOutcome.NEW] * len(batch), ids=ids, inserted=inserted, revived=False
            )
        known = {key: _instance_values(one, transaction.now) for key, one in first.items() if key not in ids}
        revived = (
            restore_removed_instances(transaction.connection, known, transaction.now)
            if known
            else frozenset()
        )
        rows = _rows(transaction.connection, first)
        outcomes = []
        for received in batch:
            identity = _identity(received)
            row = rows[identity]
            is_fresh = identity in ids or identity in revived
            if is_fresh and first[identity] is received:
                outcomes.append(RecordOutcome.NEW)
            elif row.sha256 == received.file.sha256:
                outcomes.append(RecordOutcome.DUPLICATE)
            elif row.transfer_syntax_uid != received.transfer_syntax_uid:
                outcomes.append(RecordOutcome.OTHER_SYNTAX)
            else:
                outcomes.append(RecordOutcome.CONFLICT)
        ids = {identity: row.id for identity, row in rows.items()}
        return InsertResult(outcomes=outcomes, ids=ids, inserted=inserted, revived=bool(revived))

    def _note(
        self,
        transaction: WriteTransaction,
        requester: SeriesKey,
        slices: Sequence[ReceivedInstance],
        kept: InsertResult,
    ) -> bool:
        """Record which slices this requester sent; new ones open or update its job, known ones change nothing.

        Return True if something was recorded that the files do not say: a slice kept from another sender came, say.
        """
        came = {kept.ids[_identity(received)] for received in slices}
        new = came & kept.inserted
        known = came - new
        from_others = known - _known_sources(transaction.connection, requester, known) if known else known
        if new or from_others:
            self._add(transaction, requester, new, from_others)
        elif not transaction.is_quiet:
            message = "images of this series were sent again; they are already kept and change nothing"
            latest = note_in_latest(
                transaction.connection, requester, EventKind.SENT_AGAIN, message, transaction.now
            )
            if latest is not None and latest.state is JobState.CANCELLED:
                open_if_sent_whole(self._database, transaction.connection, latest, known, transaction.now)
                return True
        return bool(from_others)

    def _add(
        self, transaction: WriteTransaction, requester: SeriesKey, new: set[int], from_others: set[int]
    ) -> None:
        """Add slices to the job that takes them; the first statement locks it."""
        values = {
            "of_series": requester.series_uid,
            "of_study": requester.study_uid,
            "of_called": requester.called_aet,
            "of_calling": requester.calling_aet,
            "added": len(new),
            "now": transaction.now,
        }
        row = self._touch.one(transaction.cursor, values)
        cancelled = None
        if row is None:
            row = open_version(self._database, transaction.connection, requester)
            _count(transaction, row.id, len(new))
            cancelled = row if row.state is JobState.CANCELLED else None
            row = (row.id, row.version)
        job_id, version = row
        if from_others:  # checked again under the lock: another process may have recorded the same
            from_others = from_others - _known_sources(transaction.connection, requester, from_others)
            _count(transaction, job_id, len(from_others))
        who = {"called_aet": requester.called_aet, "calling_aet": requester.calling_aet, "version": version}
        ids = sorted(new | from_others)
        self._add_source.each(transaction.cursor, [{**who, "instance_id": number} for number in ids])
        if cancelled is not None:
            open_if_sent_whole(self._database, transaction.connection, cancelled, ids, transaction.now)


def _count(transaction: WriteTransaction, job_id: int, added: int) -> None:
    transaction.connection.execute(
        update(job)
        .where(job.c.id == job_id)
        .values(slice_count=job.c.slice_count + added, last_received_at=transaction.now)
    )


def _requester(received: ReceivedInstance) -> SeriesKey:
    return SeriesKey(
        series_uid=received.series_uid,
        study_uid=received.study_uid,
        called_aet=received.called_aet,
        calling_aet=received.calling_aet,
    )


def _instance_values(received: ReceivedInstance, now: datetime) -> Values:
    file = received.file
    values = (
        received.sop_instance_uid,
        received.sop_class_uid,
        received.series_uid,
        received.study_uid,
        received.modality,
        received.transfer_syntax_uid,
        received.peer_host,
        file.path,
        file.size_bytes,
        file.header_bytes,
        file.sha256,
        now,
    )
    return dict(zip(INSTANCE_COLUMNS, values, strict=True))


def _identity(received: ReceivedInstance) -> Identity:
    return received.sop_instance_uid, received.study_uid


def _rows(connection: Connection, identities: Collection[Identity]) -> Mapping[Identity, Any]:
    uids = {uid for uid, _ in identities}
    columns = (
        instance.c.id,
        instance.c.sop_instance_uid,
        instance.c.study_uid,
        instance.c.sha256,
        instance.c.transfer_syntax_uid,
    )
    rows = connection.execute(select(*columns).where(instance.c.sop_instance_uid.in_(uids)))
    return {(row.sop_instance_uid, row.study_uid): row for row in rows}


def _known_sources(connection: Connection, requester: SeriesKey, ids: Collection[int]) -> set[int]:
    return set(
        connection.execute(
            select(instance_source.c.instance_id).where(
                instance_source.c.instance_id.in_(ids),
                instance_source.c.called_aet == requester.called_aet,
                instance_source.c.calling_aet == requester.calling_aet,
            )
        ).scalars()
    )

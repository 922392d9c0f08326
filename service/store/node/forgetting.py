"""Remove every row and file of a series, as if it had never come, and name what was delivered of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, or_, select, update

from service.store.audit.log import AuditEvent, AuditKind, append_events
from service.store.database import Database
from service.store.errors import NotAllowed
from service.store.states import DeliveryState, JobState
from service.store.tables.artifact_schema import artifact
from service.store.tables.audit_schema import audit_event
from service.store.tables.pseudonym_schema import original_study, pseudonym, uid_pair
from service.store.tables.schema import (
    METADATA,
    commitment,
    delivery,
    instance,
    instance_source,
    job,
    removal,
)

ON_ITS_WAY = frozenset({DeliveryState.SENDING, DeliveryState.CONFIRMING})
TAKEN = frozenset(
    {DeliveryState.SENT, DeliveryState.UNCONFIRMED, DeliveryState.CONFIRMING, DeliveryState.SENDING}
)
LONGEST_DETAIL = 1500


@dataclass(frozen=True, kw_only=True, order=True)
class SeriesIdentity:
    """A series of a study."""

    series_uid: str
    study_uid: str


@dataclass(frozen=True, kw_only=True)
class DeliveredObject:
    """An object made of a series that a destination has, or may have: the node cannot take it back."""

    job_id: int
    destination: str
    sop_instance_uid: str  # empty: made before UIDs were recorded
    sent_at: datetime | None
    is_certain: bool  # False: it was being sent when the sending process ended


@dataclass(frozen=True, kw_only=True)
class ForgottenSeries:
    """What was removed, or would be, of one series, and which of its objects destinations have."""

    series: SeriesIdentity
    images: int
    jobs: tuple[int, ...]
    files: int
    delivered: tuple[DeliveredObject, ...]


def series_named(connection: Connection, series_uid: str) -> list[SeriesIdentity]:
    """Return the series with this UID, in every study that has it."""
    found = set()
    for table in (instance, job):
        query = (
            select(table.c.series_uid, table.c.study_uid).where(table.c.series_uid == series_uid).distinct()
        )
        found |= {SeriesIdentity(series_uid=row[0], study_uid=row[1]) for row in connection.execute(query)}
    return sorted(found)


def all_series(connection: Connection) -> Mapping[SeriesIdentity, list[str]]:
    """Return every series with the paths of its stored files."""
    found: dict[SeriesIdentity, list[str]] = {}
    query = select(instance.c.series_uid, instance.c.study_uid, instance.c.path).where(
        instance.c.removed_at.is_(None)
    )
    for row in connection.execute(query.order_by(instance.c.id)):
        found.setdefault(SeriesIdentity(series_uid=row[0], study_uid=row[1]), []).append(row[2])
    return found


def look_at_series(connection: Connection, series: SeriesIdentity) -> ForgottenSeries:
    """Return what would be removed of a series; its jobs are locked.

    Raises:
        NotAllowed: one of its jobs is running, or one of its objects is being sent; cancel it, or wait.
    """
    jobs = connection.execute(select(job).where(_of(job, series)).order_by(job.c.id).with_for_update()).all()
    ids = [row.id for row in jobs]
    running = [row.id for row in jobs if row.state is JobState.RUNNING]
    if running:
        raise NotAllowed(
            f"job {running[0]} of series {series.series_uid} is running: `cancel` it, or wait until it has ended"
        )
    sent = connection.execute(
        select(delivery, artifact.c.sop_instance_uid)
        .join(artifact, artifact.c.id == delivery.c.artifact_id)
        .where(delivery.c.job_id.in_(ids))
        .order_by(delivery.c.id)
    ).all()
    under_way = [row for row in sent if row.state in ON_ITS_WAY and row.lease_owner is not None]
    if under_way:
        raise NotAllowed(
            f"an object of job {under_way[0].job_id} is being sent to {under_way[0].destination}: wait until that has ended"
        )
    images = connection.execute(
        select(func.count()).select_from(instance).where(_of(instance, series))
    ).scalar_one()
    delivered = tuple(
        DeliveredObject(
            job_id=row.job_id,
            destination=row.destination,
            sop_instance_uid=row.sop_instance_uid,
            sent_at=row.sent_at,
            is_certain=row.state is not DeliveryState.SENDING,
        )
        for row in sent
        if row.state in TAKEN or row.sent_at is not None
    )
    return ForgottenSeries(
        series=series,
        images=images,
        jobs=tuple(ids),
        files=len(_paths(connection, series, ids)),
        delivered=delivered,
    )


def forget_series(
    database: Database, connection: Connection, series: SeriesIdentity, why: AuditEvent
) -> ForgottenSeries:
    """Remove a series in the caller's transaction; its files are to be unlinked after the commit.

    Its images, jobs, histories, deliveries, results, notifications and the links back from its research copies are
    removed. The audit trail stays, and gets an entry with the reason and with what destinations have.

    Raises:
        NotAllowed: as in look_at_series().
    """
    found = look_at_series(connection, series)
    now, ids = database.clock(), list(found.jobs)
    for path in _paths(connection, series, ids):
        mark = database.insert(removal).values(path=path, marked_at=now)
        connection.execute(mark.on_conflict_do_update(index_elements=["path"], set_={"marked_at": now}))
    _forget_ways_back(connection, series)
    _forget_jobs(connection, ids)
    of_series = select(instance.c.id).where(_of(instance, series))
    connection.execute(delete(instance_source).where(instance_source.c.instance_id.in_(of_series)))
    for table in reversed(METADATA.sorted_tables):
        if {"series_uid", "study_uid"} <= set(table.c.keys()):
            connection.execute(delete(table).where(_of(table, series)))
    event = AuditEvent(
        **{
            **vars(why),
            "kind": AuditKind.DELETED,
            "target": f"series {series.series_uid}",
            "study_uid": series.study_uid,
            "instance_count": found.images,
            "detail": f"{why.detail}; {in_words(found)}"[:LONGEST_DETAIL],
        }
    )
    append_events(connection, [(now, event)])
    return found


def forget_patient_keys(connection: Connection, keys: Collection[str]) -> None:
    """Remove a patient's pseudonyms in every project."""
    connection.execute(delete(pseudonym).where(pseudonym.c.patient_key.in_(sorted(keys))))


def in_words(found: ForgottenSeries) -> str:
    """Say how many objects of a series each destination has."""
    counts: dict[str, int] = {}
    for one in found.delivered:
        counts[one.destination] = counts.get(one.destination, 0) + 1
    has = ", ".join(f"{name} has {number} objects" for name, number in sorted(counts.items()))
    return has or "nothing was delivered"


def _forget_jobs(connection: Connection, ids: Collection[int]) -> None:
    for column in (job.c.superseded_by, job.c.replaces):
        connection.execute(update(job).where(column.in_(ids)).values({column: None}))
    deliveries = select(delivery.c.id).where(delivery.c.job_id.in_(ids))
    connection.execute(delete(commitment).where(commitment.c.delivery_id.in_(deliveries)))
    for table in reversed(METADATA.sorted_tables):
        if "job_id" in table.c and table is not audit_event:
            connection.execute(delete(table).where(table.c.job_id.in_(ids)))


def _forget_ways_back(connection: Connection, series: SeriesIdentity) -> None:
    uids = select(instance.c.sop_instance_uid).where(_of(instance, series))
    connection.execute(
        delete(uid_pair).where(or_(uid_pair.c.original == series.series_uid, uid_pair.c.original.in_(uids)))
    )
    others = exists().where(
        instance.c.study_uid == series.study_uid, instance.c.series_uid != series.series_uid
    )
    connection.execute(delete(original_study).where(original_study.c.study_uid == series.study_uid, ~others))
    connection.execute(delete(uid_pair).where(uid_pair.c.original == series.study_uid, ~others))


def _paths(connection: Connection, series: SeriesIdentity, ids: Collection[int]) -> list[str]:
    """Return the paths of the files of this series: its images, and what was made from them."""
    queries = [
        select(instance.c.path).where(_of(instance, series), instance.c.removed_at.is_(None)),
        *(
            select(table.c.path).where(table.c.job_id.in_(ids))
            for table in METADATA.sorted_tables
            if {"job_id", "path"} <= set(table.c.keys())
        ),
    ]
    return sorted({path for query in queries for path in connection.execute(query).scalars()})


def _of(table: Table, series: SeriesIdentity) -> ColumnElement[bool]:
    return and_(table.c.series_uid == series.series_uid, table.c.study_uid == series.study_uid)

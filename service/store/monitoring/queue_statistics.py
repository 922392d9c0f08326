"""What the package `monitor` shows: the queue as it is now, and the counters."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from service.store.database import Database
from service.store.monitoring import metric_counters as counted
from service.store.monitoring.refused_images import RefusedImages, refused_images
from service.store.states import DeliveryState, JobState
from service.store.tables.artifact_schema import artifact
from service.store.tables.monitoring_schema import metric_counter
from service.store.tables.schema import delivery, instance, job

WAITING_FOR_SOMETHING = (
    JobState.RECEIVING,
    JobState.WAITING,
    JobState.QUEUED,
    JobState.RUNNING,
    JobState.DELIVERING,
    JobState.RETRYING,
    JobState.FAILED,
)
"""States that a job is still to leave: ended jobs are counted by their events, never by going through all jobs."""
ON_ITS_WAY = (JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING, JobState.RETRYING)
NOT_TAKEN = (DeliveryState.PENDING, DeliveryState.SENDING)
UNDER_WAY = (*NOT_TAKEN, DeliveryState.UNCONFIRMED, DeliveryState.CONFIRMING)
MOST_LATE_JOBS = 100
MOST_DAMAGED_FILES = 100


@dataclass(frozen=True, kw_only=True)
class JobsIn:
    """The jobs of a rule in a state, and when the last slice of the one that has waited longest came."""

    state: JobState
    rule: str
    count: int
    oldest_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeliveriesIn:
    """The deliveries to a destination in a state, and when the oldest was made."""

    destination: str
    state: DeliveryState
    count: int
    oldest_at: datetime


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Durations by their upper bounds; ``buckets`` are not cumulative, and the last has no bound."""

    label: str  # the rule
    detail: str  # the stage
    buckets: tuple[float, ...]
    sum_s: float


@dataclass(frozen=True, kw_only=True)
class QueueStatistics:
    """One look at the database."""

    jobs: tuple[JobsIn, ...]
    deliveries: tuple[DeliveriesIn, ...]
    last_image_at: datetime | None
    damaged: tuple[str, ...]  # paths of stored files that are missing or changed; the first hundred
    events: tuple[tuple[str, str, float], ...]  # rule, kind, how many
    attempts: tuple[tuple[str, str, float], ...]  # destination, outcome, how many
    images: tuple[tuple[str, float, float], ...]  # ct or other, how many, bytes
    refused: tuple[RefusedImages, ...]  # by the receiver, in the last day
    stages: tuple[Histogram, ...]
    latencies: tuple[Histogram, ...]


@dataclass(frozen=True, kw_only=True)
class LateJob:
    """A job that has not been delivered although its last slice came long ago."""

    id: int
    rule: str
    state: JobState
    asked_at: datetime


def read_queue_statistics(database: Database) -> QueueStatistics:
    """Read the queue and the counters; the cost grows with the unfinished jobs, not with the finished ones."""
    with database.reading() as connection:
        counters = _counters(connection)
        return QueueStatistics(
            jobs=_jobs(connection),
            deliveries=_deliveries(connection),
            last_image_at=_last_image_at(connection),
            damaged=_damaged(connection),
            events=counters[counted.EVENTS],
            attempts=counters[counted.DELIVERIES],
            images=_images(counters),
            refused=refused_images(connection, database.clock()),
            stages=_histograms(connection, counted.STAGES),
            latencies=_histograms(connection, counted.LATENCY),
        )


def late_jobs(database: Database, rule: str, before: datetime) -> list[LateJob]:
    """Return the unfinished jobs of a rule that were asked for before a time, the oldest first."""
    query = (
        select(job.c.id, job.c.rule, job.c.state, _asked_at().label("asked_at"))
        .where(job.c.state.in_(ON_ITS_WAY), job.c.rule == rule, _asked_at() < before)
        .order_by(_asked_at(), job.c.id)
        .limit(MOST_LATE_JOBS)
    )
    with database.reading() as connection:
        return [LateJob(**row._asdict()) for row in connection.execute(query)]


def _asked_at() -> ColumnElement[datetime]:
    """Return when the last slice came; for a rerun, when it was ordered."""
    return case((job.c.last_received_at > job.c.received_at, job.c.last_received_at), else_=job.c.received_at)


def _jobs(connection: Connection) -> tuple[JobsIn, ...]:
    query = (
        select(job.c.state, job.c.rule, func.count().label("count"), func.min(_asked_at()).label("oldest_at"))
        .where(job.c.state.in_(WAITING_FOR_SOMETHING))
        .group_by(job.c.state, job.c.rule)
    )
    return tuple(JobsIn(**row._asdict()) for row in connection.execute(query))


def _deliveries(connection: Connection) -> tuple[DeliveriesIn, ...]:
    query = (
        select(
            delivery.c.destination,
            delivery.c.state,
            func.count().label("count"),
            func.min(delivery.c.created_at).label("oldest_at"),
        )
        .where(delivery.c.state.in_(UNDER_WAY))
        .group_by(delivery.c.destination, delivery.c.state)
    )
    return tuple(DeliveriesIn(**row._asdict()) for row in connection.execute(query))


def _last_image_at(connection: Connection) -> datetime | None:
    return connection.execute(
        select(instance.c.received_at).order_by(instance.c.id.desc()).limit(1)
    ).scalar_one_or_none()


def _damaged(connection: Connection) -> tuple[str, ...]:
    found: set[str] = set()
    for table in (instance, artifact):
        query = (
            select(table.c.path)
            .where(table.c.damaged_at.is_not(None), table.c.removed_at.is_(None))
            .order_by(table.c.id)
            .limit(MOST_DAMAGED_FILES)
        )
        found.update(connection.execute(query).scalars())
    return tuple(sorted(found)[:MOST_DAMAGED_FILES])


def _counters(connection: Connection) -> dict[str, tuple[tuple[str, str, float], ...]]:
    found: dict[str, list[tuple[str, str, float]]] = {
        name: [] for name in (counted.EVENTS, counted.DELIVERIES, counted.IMAGES, counted.IMAGE_BYTES)
    }
    query = (
        select(metric_counter)
        .where(metric_counter.c.family.in_(found))
        .order_by(metric_counter.c.label, metric_counter.c.detail)
    )
    for row in connection.execute(query):
        found[row.family].append((row.label, row.detail, row.value))
    return {name: tuple(rows) for name, rows in found.items()}


def _images(counters: dict[str, tuple[tuple[str, str, float], ...]]) -> tuple[tuple[str, float, float], ...]:
    sizes = {detail: value for _, detail, value in counters[counted.IMAGE_BYTES]}
    return tuple((detail, value, sizes[detail]) for _, detail, value in counters[counted.IMAGES])


def _histograms(connection: Connection, family: str) -> tuple[Histogram, ...]:
    query = (
        select(metric_counter)
        .where(metric_counter.c.family == family)
        .order_by(metric_counter.c.label, metric_counter.c.detail)
    )
    found = []
    for (label, detail), rows in groupby(connection.execute(query), lambda row: (row.label, row.detail)):
        values: dict[str, Any] = {row.bucket: row.value for row in rows}
        bounds = [*(f"{bound:g}" for bound in counted.BOUNDS_S), "+Inf"]
        found.append(
            Histogram(
                label=label,
                detail=detail,
                buckets=tuple(values.get(bound, 0.0) for bound in bounds),
                sum_s=values.get("sum", 0.0),
            )
        )
    return tuple(found)

"""Counts and durations of all that happened, each added once, so that they only grow and outlive their jobs."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from service.store.database import Database
from service.store.monitoring import event_position
from service.store.records import CT_SOP_CLASSES
from service.store.states import EventKind
from service.store.tables.monitoring_schema import metric_counter
from service.store.tables.schema import instance, job, job_event

BOUNDS_S = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 14400, 86400)
"""Upper bounds of every histogram, in seconds."""
EVENTS_AT_ONCE = 500
IMAGES_AT_ONCE = 5000

EVENTS, STAGES, LATENCY, DELIVERIES, IMAGES, IMAGE_BYTES = (
    "job_events",
    "stage_seconds",
    "last_slice_to_delivered_seconds",
    "delivery_attempts",
    "images",
    "image_bytes",
)
Count = tuple[str, str, str, str]  # family, rule or destination, detail, bucket

_K = EventKind
_ASIDE = (_K.SENT_AGAIN, _K.CONFLICT, _K.NOTE)  # added in any state of a job; they do not end a stage
_BEFORE_THE_RULE = frozenset({_K.OPENED, _K.WAITING})
_OUTCOMES = {_K.SENT: "sent", _K.SEND_FAILED: "failed", _K.SEND_REJECTED: "rejected"}


class MetricCounters:
    """Adds up job events and received images from a stored position; two processes at once count nothing twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_events(self) -> bool:
        """Add the next job events; True if more may be waiting."""
        return self._add("metric events", job_event, EVENTS_AT_ONCE)

    def add_images(self) -> bool:
        """Add the next received instances; True if more may be waiting."""
        return self._add("metric images", instance, IMAGES_AT_ONCE)

    def _add(self, name: str, table: Table, at_once: int) -> bool:
        with self._database.reading() as connection:  # first, for writing takes SQLite's lock
            if not event_position.is_behind(connection, name, table):
                return False
        counts: dict[Count, float] = defaultdict(float)
        with self._database.writing() as connection:
            event_position.begin(self._database, connection, name, 0)
            last = event_position.locked(connection, name, table)
            query = _events(last) if table is job_event else select(instance).where(instance.c.id > last)
            rows = connection.execute(query.order_by(table.c.id).limit(at_once)).all()
            at = job_event.c.at if table is job_event else instance.c.received_at
            ready = event_position.settled(rows, last, at, self._database.clock())
            for row in ready:
                for count, value in _of_event(row) if table is job_event else _of_image(row):
                    counts[count] += value
            self._write(connection, counts)
            event_position.advance(connection, name, ready[-1].id if ready else last)
        return len(ready) == at_once

    def _write(self, connection: Connection, counts: Mapping[Count, float]) -> None:
        for (family, label, detail, bucket), value in sorted(counts.items()):
            added = self._database.insert(metric_counter).values(
                family=family, label=label, detail=detail[:64], bucket=bucket, value=value
            )
            connection.execute(
                added.on_conflict_do_update(
                    index_elements=["family", "label", "detail", "bucket"],
                    set_={"value": metric_counter.c.value + added.excluded.value},
                )
            )


def bucket_of(seconds: float) -> str:
    """Return the upper bound under which a duration is counted."""
    return next((f"{bound:g}" for bound in BOUNDS_S if seconds <= bound), "+Inf")


def _events(after_id: int) -> Any:
    """Return the events after one, each with its job and the event before it of the same job."""
    before = job_event.alias("before")
    before_id = (
        select(func.max(before.c.id))
        .where(
            before.c.job_id == job_event.c.job_id, before.c.id < job_event.c.id, before.c.kind.not_in(_ASIDE)
        )
        .scalar_subquery()
    )
    previous = job_event.alias("previous")
    return (
        select(
            job_event.c.id,
            job_event.c.at,
            job_event.c.kind,
            job_event.c.message,
            job.c.rule,
            job.c.received_at,
            job.c.last_received_at,
            job.c.finished_at,
            previous.c.at.label("previous_at"),
            previous.c.kind.label("previous_kind"),
            previous.c.message.label("previous_message"),
        )
        .join(job, job.c.id == job_event.c.job_id)
        .outerjoin(previous, previous.c.id == before_id)
        .where(job_event.c.id > after_id)
    )


def _of_event(row: Row[Any]) -> Iterator[tuple[Count, float]]:
    rule = "" if row.kind in _BEFORE_THE_RULE else row.rule
    yield (EVENTS, rule, row.kind.value, ""), 1
    if row.kind in _OUTCOMES:
        destination = re.match(r"[a-z0-9_-]*", row.message)
        yield (DELIVERIES, "" if destination is None else destination[0], _OUTCOMES[row.kind], ""), 1
    for family, detail, since in _durations(row):
        seconds = max(0.0, (row.at - since).total_seconds())
        yield (family, rule, detail, bucket_of(seconds)), 1
        yield (family, rule, detail, "sum"), seconds


def _durations(row: Row[Any]) -> Iterator[tuple[str, str, datetime]]:
    """Yield the intervals that this event ends: family, stage and beginning."""
    asked_at = max(
        row.received_at, row.last_received_at
    )  # a rerun counts from the order, not from the old slices
    if row.kind is _K.CLOSED:
        yield STAGES, "quiet", asked_at
    if row.kind is _K.CLAIMED and row.previous_kind in (_K.CLOSED, _K.RETRIED):
        yield STAGES, "queued", row.previous_at
    if row.kind in (_K.STAGE, _K.FINISHED) and row.previous_kind is _K.STAGE:
        yield STAGES, row.previous_message, row.previous_at
    if row.kind is _K.DONE:
        yield LATENCY, "", asked_at
        if row.finished_at is not None:
            yield STAGES, "sending", row.finished_at


def _of_image(row: Row[Any]) -> Iterator[tuple[Count, float]]:
    detail = "ct" if row.sop_class_uid in CT_SOP_CLASSES else "other"
    yield (IMAGES, "", detail, ""), 1
    yield (IMAGE_BYTES, "", detail, ""), row.size_bytes

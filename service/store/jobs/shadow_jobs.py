"""Shadow jobs: the images of a job contoured once more by another model or rule, kept and never delivered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, select

from service.store.database import Database
from service.store.jobs.transitions import NO_LEASE, HistoryLine, Transition, add_history_line, move
from service.store.records import ContouringOrder
from service.store.states import ENDED_BY_A_NEWER_VERSION, EventKind, JobState
from service.store.tables.schema import job


def open_shadow_jobs(
    database: Database,
    connection: Connection,
    beside: Row[Any],
    content_hash: str,
    orders: Sequence[ContouringOrder],
) -> None:
    """Queue one job for each order, with the same images as a job that is queued in this transaction."""
    now = database.clock()
    for order in orders:
        opened = connection.execute(
            database.insert(job)
            .values(
                uid=uuid4(),
                version=beside.version,
                state=JobState.QUEUED,
                purpose=order.purpose,
                shadow_of=beside.id,
                series_uid=beside.series_uid,
                study_uid=beside.study_uid,
                called_aet=beside.called_aet,
                calling_aet=beside.calling_aet,
                slice_count=beside.slice_count,
                expected_images=beside.expected_images,
                pass_number=beside.pass_number,
                content_hash=content_hash,
                rule=order.rule,
                rule_set=order.rule_set,
                model=order.model,
                model_version=order.model_version,
                priority=order.priority,
                doubt=order.doubt,
                received_at=beside.received_at,
                last_received_at=beside.last_received_at,
                queued_at=now,
            )
            .on_conflict_do_nothing()
            .returning(job.c.id)
        ).scalar_one_or_none()
        if opened is not None:  # None: the same images went through the same rule before
            message = f"beside job {beside.id}: rule {order.rule}, model {order.model} {order.model_version}"
            line = HistoryLine(kind=EventKind.OPENED, source=None, to=JobState.QUEUED, message=message)
            add_history_line(connection, opened, now, line)


def end_shadow_jobs(connection: Connection, old: Row[Any], reason: str, now: datetime) -> None:
    """End the unfinished shadow jobs of a superseded job: the newer version has its own."""
    beside = select(job).where(job.c.shadow_of == old.id).order_by(job.c.id).with_for_update()
    step = Transition(
        to=JobState.SUPERSEDED,
        kind=EventKind.SUPERSEDED,
        sources=ENDED_BY_A_NEWER_VERSION,
        message=reason,
    )
    for row in connection.execute(beside).all():
        move(connection, row, step, now, reason=reason, not_before=None, **NO_LEASE)

"""A cancelled series: later images are kept, but it stays cancelled unless the sender sends all of it again."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, update

from service.store.database import Database
from service.store.jobs.transitions import lock
from service.store.jobs.versions import open_next_version
from service.store.tables.schema import instance, instance_source, job


def count_resent(connection: Connection, row: Row[Any]) -> None:
    """Start recording which images of the series, whose job is cancelled in this transaction, are sent again."""
    connection.execute(update(instance_source).where(_of_the_series(row)).values(resent_at=None))


def open_if_sent_whole(
    database: Database, connection: Connection, row: Row[Any], ids: Collection[int], now: datetime
) -> None:
    """Record that these instances of a cancelled, locked job were sent (again); open a version once all were."""
    connection.execute(
        update(instance_source)
        .where(_of_the_series(row), instance_source.c.instance_id.in_(ids))
        .values(resent_at=now)
    )
    missing = select(func.count()).where(_of_the_series(row), instance_source.c.resent_at.is_(None))
    if connection.execute(missing).scalar_one():
        return
    counted = lock(connection, row.id)  # its images have been counted since the row was read
    if counted is None:
        return
    reason = f"the sender sent the whole series again after version {row.version} was cancelled"
    opened = open_next_version(database, connection, counted, reason)
    if opened is not None:
        connection.execute(update(job).where(job.c.id == opened.id).values(last_received_at=now))


def _of_the_series(row: Row[Any]) -> ColumnElement[bool]:
    return and_(
        instance_source.c.called_aet == row.called_aet,
        instance_source.c.calling_aet == row.calling_aet,
        instance_source.c.instance_id.in_(
            select(instance.c.id).where(
                instance.c.series_uid == row.series_uid, instance.c.study_uid == row.study_uid
            )
        ),
    )

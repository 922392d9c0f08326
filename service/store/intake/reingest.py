"""An image that is sent again after its file was removed or damaged is stored again, as if it were new."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, or_, select, update

from service.config import JobPurpose
from service.store.jobs.integrity import images_whole
from service.store.states import JobState
from service.store.tables.schema import instance, instance_source, job, removal

Identity = tuple[str, str]
"""SOP Instance UID and Study Instance UID of an image."""


def restore_removed_instances(
    connection: Connection, received: Mapping[Identity, Mapping[str, Any]], marked_at: datetime
) -> frozenset[Identity]:
    """Give instances whose files are gone or damaged the files that have just arrived; return which they are.

    An image that retention removed begins a new version for everybody who sends it again. One whose file was damaged
    does so only if the job was refused, because the refusal asked the sender to send it again.

    Args:
        connection: in the transaction that records the batch.
        received: the columns of each instance that arrived.
        marked_at: now, in the clock of the rows.
    """
    gone = connection.execute(
        select(instance)
        .where(
            instance.c.sop_instance_uid.in_({uid for uid, _ in received}),
            or_(instance.c.removed_at.is_not(None), instance.c.damaged_at.is_not(None)),
        )
        .order_by(instance.c.sop_instance_uid, instance.c.study_uid)
        .with_for_update()
    ).all()
    gone = [row for row in gone if (row.sop_instance_uid, row.study_uid) in received]
    damaged = [row.id for row in gone if row.removed_at is None]
    images_whole(connection, marked_at, damaged, "sent again")
    for row in gone:
        values = received[row.sop_instance_uid, row.study_uid]
        _forget_sources(connection, row)
        connection.execute(
            update(instance)
            .where(instance.c.id == row.id)
            .values(**values, removed_at=None, damaged_at=None, verified_at=None)
        )
        connection.execute(delete(removal).where(removal.c.path == values["path"]))
        if (
            row.removed_at is None and row.path != values["path"]
        ):  # the damaged file, which no row names any more
            connection.execute(removal.insert().values(path=row.path, marked_at=marked_at))
    return frozenset((row.sop_instance_uid, row.study_uid) for row in gone)


def _forget_sources(connection: Connection, row: Row[Any]) -> None:
    came = delete(instance_source).where(instance_source.c.instance_id == row.id)
    if row.removed_at is None:
        refused = select(job.c.id).where(
            and_(
                job.c.series_uid == row.series_uid,
                job.c.study_uid == row.study_uid,
                job.c.called_aet == instance_source.c.called_aet,
                job.c.calling_aet == instance_source.c.calling_aet,
                job.c.state == JobState.REFUSED,
                job.c.superseded_by.is_(None),
                job.c.purpose != JobPurpose.SHADOW,
            )
        )
        came = came.where(refused.exists())
    connection.execute(came)


def kept(connection: Connection, old: Row[Any]) -> int:
    """Return the number of a job's slices whose files are still kept."""
    return len(
        connection.execute(
            select(instance_source.c.instance_id)
            .join(instance, instance.c.id == instance_source.c.instance_id)
            .where(
                instance.c.series_uid == old.series_uid,
                instance.c.study_uid == old.study_uid,
                instance.c.removed_at.is_(None),
                instance_source.c.called_aet == old.called_aet,
                instance_source.c.calling_aet == old.calling_aet,
                instance_source.c.version <= old.version,
            )
        ).all()
    )

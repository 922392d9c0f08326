"""One series sent under several AE titles: what came from or to others, and how a job gets that too."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, update

from service.config import JobPurpose
from service.store.database import Database
from service.store.jobs.row_mapping import of_its_series
from service.store.jobs.transitions import HistoryLine, add_history_line, lock
from service.store.records import Elsewhere, OpenJob
from service.store.states import FORGOTTEN, OPEN, EventKind, JobState
from service.store.tables.schema import instance, instance_source, job


def elsewhere(connection: Connection, seen: OpenJob) -> list[Elsewhere]:
    """Give, by AE titles, the images of a job's series that came from or to others and that the job lacks."""
    groups = connection.execute(
        select(
            instance_source.c.called_aet,
            instance_source.c.calling_aet,
            func.count().label("images"),
            func.max(instance.c.received_at, type_=instance.c.received_at.type).label("last_received_at"),
        )
        .join(instance, instance.c.id == instance_source.c.instance_id)
        .where(_of_series(seen), ~_came_for(seen.called_aet, seen.calling_aet))
        .group_by(instance_source.c.called_aet, instance_source.c.calling_aet)
        .order_by(instance_source.c.called_aet, instance_source.c.calling_aet)
    ).all()
    return [found for group in groups if (found := _found(connection, seen, group)) is not None]


def merge(database: Database, connection: Connection, seen: OpenJob) -> int:
    """Add to an open job every image of its series that it lacks; return the number of those images.

    0, and nothing is done, if a slice arrived or the state changed since the job was seen.
    """
    row = lock(connection, seen.id)
    if row is None or row.state not in OPEN or row.slice_count != seen.slice_count:
        return 0
    lacking = connection.execute(
        select(instance.c.id).where(_of_series(seen), _came(), ~_came_for(seen.called_aet, seen.calling_aet))
    ).scalars()
    who = {"called_aet": seen.called_aet, "calling_aet": seen.calling_aet, "version": row.version}
    sources = [{"instance_id": number, **who} for number in lacking]
    if not sources:
        return 0
    connection.execute(instance_source.insert(), sources)
    added = len(sources)
    connection.execute(update(job).where(job.c.id == row.id).values(slice_count=job.c.slice_count + added))
    message = f"{added} more images of this series, which came under other AE titles, belong to the job"
    line = HistoryLine(kind=EventKind.NOTE, source=row.state, to=row.state, message=message)
    add_history_line(connection, row.id, database.clock(), line)
    return added


def is_within(connection: Connection, part: Row[Any], whole: Row[Any]) -> bool:
    """Tell whether a job has fewer images than another one of its series, and none that the other lacks."""
    if part.slice_count >= whole.slice_count:
        return False
    beyond = (
        select(instance.c.id)
        .select_from(job)
        .join(instance, of_its_series())
        .join(instance_source, instance_source.c.instance_id == instance.c.id)
        .where(
            job.c.id == part.id,
            instance_source.c.called_aet == part.called_aet,
            instance_source.c.calling_aet == part.calling_aet,
            instance_source.c.version <= part.version,
            ~_came_for(whole.called_aet, whole.calling_aet),
        )
    )
    return connection.execute(beyond.limit(1)).first() is None


def _found(connection: Connection, seen: OpenJob, group: Row[Any]) -> Elsewhere | None:
    theirs = connection.execute(
        select(job)
        .where(
            job.c.series_uid == seen.series_uid,
            job.c.study_uid == seen.study_uid,
            job.c.called_aet == group.called_aet,
            job.c.calling_aet == group.calling_aet,
            job.c.purpose != JobPurpose.SHADOW,
        )
        .order_by(job.c.version.desc())
        .limit(1)
    ).one_or_none()
    if theirs is None or theirs.state is JobState.CANCELLED:  # a person does not want it contoured
        return None
    lacks = select(instance.c.id).where(
        _of_series(seen),
        _came_for(seen.called_aet, seen.calling_aet),
        ~_came_for(theirs.called_aet, theirs.calling_aet),
    )
    is_contoured = theirs.content_hash is not None and theirs.state not in FORGOTTEN
    return Elsewhere(
        called_aet=group.called_aet,
        calling_aet=group.calling_aet,
        images=group.images,
        last_received_at=group.last_received_at,
        job_id=theirs.id,
        job_state=theirs.state,
        has_all=is_contoured and connection.execute(lacks.limit(1)).first() is None,
    )


def _of_series(seen: OpenJob) -> ColumnElement[bool]:
    return and_(
        instance.c.series_uid == seen.series_uid,
        instance.c.study_uid == seen.study_uid,
        instance.c.removed_at.is_(None),
    )


def _came() -> ColumnElement[bool]:
    came = instance_source.alias()
    return select(came.c.instance_id).where(came.c.instance_id == instance.c.id).exists()


def _came_for(called_aet: str, calling_aet: str) -> ColumnElement[bool]:
    """Tell, in SQL, whether an instance came to this called AE title from this calling one."""
    came = instance_source.alias()
    return (
        select(came.c.instance_id)
        .where(
            came.c.instance_id == instance.c.id,
            came.c.called_aet == called_aet,
            came.c.calling_aet == calling_aet,
        )
        .exists()
    )

"""Stored files that are found missing or damaged, and what heals them: each find a line in the history of the jobs.

Told are the newest versions alone, ended or not: `rerun` and `retry` read the images once more.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, update

from service.store.database import Database
from service.store.jobs.row_mapping import of_its_series
from service.store.jobs.transitions import HistoryLine, add_history_line
from service.store.states import ArtifactRole, EventKind, JobState, artifact_words
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import instance, instance_source, job

CURES = {
    ArtifactRole.RETURNED: "send it again from where it was drawn",
    ArtifactRole.FAILURE_REPORT: "it is not made again",
}
MOST_NAMED = 10  # of the images of one find


def mark_damaged(database: Database, paths: Sequence[str]) -> None:
    """Note that the stored files of received instances are missing or not what came: sent again, they are replaced."""
    with database.writing() as connection:
        images_damaged(
            connection, database.clock(), instance.c.path.in_(paths), instance.c.removed_at.is_(None)
        )


def images_damaged(connection: Connection, now: datetime, *found: ColumnElement[bool]) -> None:
    """Mark these images as damaged and note it in their jobs; one that is already marked is not noted again."""
    ids = _marked(connection, instance, now, *found)
    for each, uids in _by_job(connection, ids).items():
        what = f"{_files_of(uids)} missing or damaged"
        cure = "send the series again"
        if each.state is JobState.DONE:
            cure += "; what was made of it stays as it is"
        _note(connection, each, now, f"{what}; {cure}")


def artifacts_damaged(connection: Connection, now: datetime, *found: ColumnElement[bool]) -> None:
    """Mark artifacts as damaged and note it in their jobs."""
    ids = _marked(connection, artifact, now, *found)
    query = (
        select(job, artifact.c.kind, artifact.c.role)
        .join(artifact, artifact.c.job_id == job.c.id)
        .where(artifact.c.id.in_(ids))
        .order_by(artifact.c.id)
    )
    for row in connection.execute(query).all():
        what = f"the stored {artifact_words(row.role, row.kind)} is missing or damaged"
        cure = "`rerun` makes it again once the job has ended"
        _note(connection, row, now, f"{what}; {CURES.get(row.role, cure)}")


def images_whole(connection: Connection, now: datetime, ids: Collection[int], why: str) -> None:
    """Tell the jobs of images that were marked as damaged that their files are whole; ``why``: "were sent again"."""
    for each, uids in _by_job(connection, ids).items():
        _note(connection, each, now, f"{_files_of(uids)} whole again: {why}")


def _marked(connection: Connection, table: Any, now: datetime, *found: ColumnElement[bool]) -> list[int]:
    """Mark the rows that are not yet; give their numbers."""
    newly = update(table).where(*found, table.c.damaged_at.is_(None)).values(damaged_at=now)
    return list(connection.execute(newly.returning(table.c.id)).scalars())


def _by_job(connection: Connection, ids: Collection[int]) -> dict[Any, list[str]]:
    """Give the newest jobs that have these images, each with its images by SOP Instance UID."""
    came_for_it = and_(
        instance_source.c.instance_id == instance.c.id,
        instance_source.c.called_aet == job.c.called_aet,
        instance_source.c.calling_aet == job.c.calling_aet,
        instance_source.c.version <= job.c.version,
    )
    query = (
        select(job.c.id, job.c.state, instance.c.sop_instance_uid)
        .select_from(instance)
        .join(job, of_its_series())
        .join(instance_source, came_for_it)
        .where(instance.c.id.in_(ids), job.c.superseded_by.is_(None))
        .order_by(job.c.id, instance.c.sop_instance_uid)
    )
    found: dict[Any, list[str]] = defaultdict(list)
    jobs: dict[int, Any] = {}
    for row in connection.execute(query).all() if ids else ():
        found[jobs.setdefault(row.id, row)].append(row.sop_instance_uid)
    return found


def _files_of(uids: Sequence[str]) -> str:
    if len(uids) == 1:
        return f"the stored file of image {uids[0]} is"
    named = ", ".join(uids[:MOST_NAMED])
    more = f" and {len(uids) - MOST_NAMED} more (`verify --job` lists them)" if len(uids) > MOST_NAMED else ""
    return f"the stored files of {len(uids)} images ({named}{more}) are"


def _note(connection: Connection, row: Any, now: datetime, message: str) -> None:
    add_history_line(
        connection,
        row.id,
        now,
        HistoryLine(kind=EventKind.NOTE, source=row.state, to=row.state, message=message),
    )

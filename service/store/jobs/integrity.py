"""Stored files that are found missing or damaged, or whole again: each finding is a line in the jobs' histories.

Only the newest version of a job gets it, ended or not: `rerun` and `retry` read the images once more.
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
    ArtifactRole.FAILURE_REPORT: "it will not be made again",
}
MOST_NAMED = 10  # images of one finding


def mark_damaged(database: Database, paths: Sequence[str]) -> None:
    """Mark stored files of received instances as missing or changed: an image sent again replaces its file."""
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
            cure += "; what was made from it stays as it is"
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
    """Note in the jobs of images that were marked as damaged that their files are whole; ``why``: "sent again"."""
    for each, uids in _by_job(connection, ids).items():
        _note(connection, each, now, f"{_files_of(uids)} whole again: {why}")


def _marked(connection: Connection, table: Any, now: datetime, *found: ColumnElement[bool]) -> list[int]:
    """Mark the rows that are not marked yet; return their numbers."""
    newly = update(table).where(*found, table.c.damaged_at.is_(None)).values(damaged_at=now)
    return list(connection.execute(newly.returning(table.c.id)).scalars())


def _by_job(connection: Connection, ids: Collection[int]) -> dict[Any, list[str]]:
    """Return the newest jobs that have these images, each with the SOP Instance UIDs of its images, sorted."""
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

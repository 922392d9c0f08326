"""Structure sets of the series that a job contoured: those made for its jobs, and those that were received."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select

from service.config import JobPurpose
from service.store.jobs.artifacts import file_of
from service.store.jobs.job_repository import read_job
from service.store.jobs.returned_sets import RT_STRUCTURE_SET
from service.store.jobs.row_mapping import instance_of
from service.store.records import StoredFile
from service.store.states import ArtifactKind, ArtifactRole
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import instance, job

MOST_RECEIVED = 50
"""Of one study; the newest."""
KEY = re.compile(r"^(artifact|received)-[1-9][0-9]{0,9}$")


class SetOrigin(StrEnum):
    """Where a structure set comes from."""

    RESULT = "result"  # of another job of the series
    RETURNED = "returned"  # sent back, known as a revision of a job's result
    RECEIVED = "received"  # sent to the node, of the same study


@dataclass(frozen=True, kw_only=True)
class KeptSet:
    """A structure set that is there. `job_id` and `purpose` are of the job that it belongs to; None: of none."""

    key: str  # "artifact-7", "received-12"
    origin: SetOrigin
    job_id: int | None
    purpose: JobPurpose | None
    model: str  # that made it; empty where none did
    sender: str  # its host; empty where the node made it, or it came back to a job
    at: datetime
    sop_instance_uid: str
    file: StoredFile


def read_kept_sets(connection: Connection, job_id: int) -> list[KeptSet]:
    """Give the sets that a job's own may be compared with, the newest first.

    Those received are of the job's study: whether one is drawn on the job's images, its file says.

    Raises:
        NoSuchJob: there is no such job.
    """
    status = read_job(connection, job_id)
    made = list(_made(connection, job_id, status.series_uid, status.study_uid))
    known = {(one.sop_instance_uid, one.file.sha256) for one in made}
    received = [
        one
        for one in _received(connection, status.study_uid)
        if (one.sop_instance_uid, one.file.sha256) not in known
    ]
    return sorted((*made, *received), key=lambda one: one.at, reverse=True)


def _made(connection: Connection, job_id: int, series_uid: str, study_uid: str) -> Iterator[KeptSet]:
    """Yield results of the series' other jobs, and what came back to any of its jobs."""
    query = (
        select(artifact, job.c.purpose)
        .join(job, job.c.id == artifact.c.job_id)
        .where(
            job.c.series_uid == series_uid,
            job.c.study_uid == study_uid,
            artifact.c.kind == ArtifactKind.STRUCTURE_SET,
            artifact.c.role.in_((ArtifactRole.RESULT, ArtifactRole.RETURNED)),
            artifact.c.removed_at.is_(None),
        )
        .order_by(artifact.c.id)
    )
    results: set[int] = {job_id}
    for row in connection.execute(query):
        is_result = row.role == ArtifactRole.RESULT
        if is_result and row.job_id in results:
            continue  # its own, or what another profile made of the same result
        if is_result:
            results.add(row.job_id)
        yield KeptSet(
            key=f"artifact-{row.id}",
            origin=SetOrigin.RESULT if is_result else SetOrigin.RETURNED,
            job_id=row.job_id,
            purpose=row.purpose,
            model=row.model,
            sender="",
            at=row.created_at,
            sop_instance_uid=row.sop_instance_uid,
            file=file_of(row),
        )


def _received(connection: Connection, study_uid: str) -> Iterator[KeptSet]:
    query = (
        select(instance)
        .where(
            instance.c.study_uid == study_uid,
            instance.c.sop_class_uid == RT_STRUCTURE_SET,
            instance.c.removed_at.is_(None),
            instance.c.damaged_at.is_(None),
        )
        .order_by(instance.c.id.desc())
        .limit(MOST_RECEIVED)
    )
    for row in connection.execute(query):
        yield KeptSet(
            key=f"received-{row.id}",
            origin=SetOrigin.RECEIVED,
            job_id=None,
            purpose=None,
            model="",
            sender=row.peer_host,
            at=row.received_at,
            sop_instance_uid=row.sop_instance_uid,
            file=instance_of(row).file,
        )

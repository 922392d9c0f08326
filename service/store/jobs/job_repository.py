"""Jobs as they are shown: lists, histories, deliveries and files."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from service.config import JobPurpose
from service.store.database import Database
from service.store.errors import NoSuchJob
from service.store.jobs.artifacts import ArtifactStatus, file_of, read_artifacts
from service.store.jobs.integrity import mark_damaged
from service.store.jobs.row_mapping import instance_of, instances_of
from service.store.jobs.structure_results import StructureResult, read_structure_results
from service.store.records import DeliveryStatus, JobEvent, JobStatus, StoredFile, StoredInstance
from service.store.states import ArtifactRole, DeliveryKind, JobState
from service.store.tables.artifact_schema import artifact
from service.store.tables.job_status_view import job_status
from service.store.tables.schema import delivery, instance, job, job_event, removal

MOST_IN_A_QUERY = 500
IN_ORDER = (delivery.c.destination, delivery.c.kind, delivery.c.id)


class ReceivedFile(NamedTuple):
    """What a starting node needs to know about each of, say, a hundred thousand recorded instances."""

    path: str
    size_bytes: int
    sop_instance_uid: str
    series_uid: str
    removed_at: datetime | None  # by retention
    damaged_at: datetime | None  # known to be missing or changed


class JobRepository:
    """Read jobs, their histories and their files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        purposes: Sequence[JobPurpose] = (),
        series_uid: str | None = None,
        limit: int = 100,
    ) -> list[JobStatus]:
        """Return the newest jobs first; no states, no purposes: every one."""
        with self._database.reading() as connection:
            return read_jobs(connection, states=states, purposes=purposes, series_uid=series_uid, limit=limit)

    def job(self, job_id: int) -> JobStatus:
        """Return one job; raises NoSuchJob if there is none with this number."""
        with self._database.reading() as connection:
            return read_job(connection, job_id)

    def events(self, job_id: int) -> list[JobEvent]:
        """Return the job's history, oldest first."""
        with self._database.reading() as connection:
            return _events(connection, job_id)

    def deliveries(self, job_id: int) -> list[DeliveryStatus]:
        """Return the job's deliveries, by destination."""
        with self._database.reading() as connection:
            return read_deliveries(connection, job_id)

    def artifacts(self, job_id: int) -> list[ArtifactStatus]:
        """Return what was made for the job and what came back to it."""
        with self._database.reading() as connection:
            return read_artifacts(connection, job_id)

    def structures(self, job_id: int) -> list[StructureResult]:
        """Return what was measured and found for each structure of the job's result."""
        with self._database.reading() as connection:
            return read_structure_results(connection, job_id)

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Return the instances of the job, by SOP Instance UID."""
        with self._database.reading() as connection:
            return instances_of(connection, job_id)

    def instances_of_series(self, series_uid: str, *, study_uid: str = "") -> list[StoredInstance]:
        """Return all recorded instances of a series, CT or not, by SOP Instance UID; of one study if it is named."""
        query = select(instance).where(instance.c.series_uid == series_uid)
        if study_uid:
            query = query.where(instance.c.study_uid == study_uid)
        query = query.order_by(instance.c.sop_instance_uid, instance.c.study_uid)
        with self._database.reading() as connection:
            return [instance_of(row) for row in connection.execute(query)]

    def result(self, job_id: int) -> StoredFile | None:
        """Return the job's structure set, if it has been written."""
        with self._database.reading() as connection:
            of_the_job = (artifact.c.job_id == job_id, artifact.c.role == ArtifactRole.RESULT)
            row = connection.execute(
                select(artifact).where(*of_the_job).order_by(artifact.c.id).limit(1)
            ).one_or_none()
        return None if row is None else file_of(row)

    def structure_set(self, job_id: int, destination: str = "") -> StoredFile | None:
        """Return the structure set that was made for a job and a destination; without a destination, the job's own.

        None if there is none.
        """
        if not destination:
            return self.result(job_id)
        query = (
            select(artifact)
            .join(delivery, delivery.c.artifact_id == artifact.c.id)
            .where(
                delivery.c.job_id == job_id,
                delivery.c.destination == destination,
                delivery.c.kind == DeliveryKind.RESULT,
            )
        )
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(delivery.c.id).limit(1)).one_or_none()
        return None if row is None else file_of(row)

    def received_in(self, folder: str) -> dict[str, ReceivedFile]:
        """Return what is recorded about the files in a folder of the storage folder, by their paths."""
        columns = (
            instance.c.path,
            instance.c.size_bytes,
            instance.c.sop_instance_uid,
            instance.c.series_uid,
            instance.c.removed_at,
            instance.c.damaged_at,
        )
        inside = instance.c.path.between(f"{folder}/", f"{folder}0")  # the sign after the slash
        with self._database.reading() as connection:
            rows = connection.execute(select(*columns).where(inside))
            return {row[0]: ReceivedFile(*row) for row in rows}

    def paths_to_remove(self) -> frozenset[str]:
        """Return the paths of files that are marked as removed and still to be unlinked."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(removal.c.path)).scalars())

    def mark_damaged(self, paths: Sequence[str]) -> None:
        """Mark files of received instances as missing or truncated: an image sent again replaces its file."""
        for start in range(0, len(paths), MOST_IN_A_QUERY):
            mark_damaged(self._database, paths[start : start + MOST_IN_A_QUERY])

    def artifact_paths(self) -> frozenset[str]:
        """Return the paths of all artifacts."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(artifact.c.path)).scalars())


def read_jobs(
    connection: Connection,
    *,
    states: Sequence[JobState] = (),
    purposes: Sequence[JobPurpose] = (),
    series_uid: str | None = None,
    limit: int = 100,
) -> list[JobStatus]:
    """Return the newest jobs first; no states, no purposes: every one."""
    query = select(job_status).order_by(job_status.c.job_id.desc()).limit(limit)
    if series_uid is not None:
        query = query.where(job_status.c.series_uid == series_uid)
    if purposes:
        query = query.where(job_status.c.purpose.in_(purposes))
    if states and series_uid is None and not purposes:
        return statuses_of(connection, _newest(connection, states, limit))
    if states:
        query = query.where(job_status.c.state.in_(states))
    return [_status_of(row) for row in connection.execute(query)]


def read_job(connection: Connection, job_id: int) -> JobStatus:
    """Return one job; raises NoSuchJob if there is none with this number."""
    row = connection.execute(select(job_status).where(job_status.c.job_id == job_id)).one_or_none()
    if row is None:
        raise NoSuchJob(f"there is no job {job_id}")
    return _status_of(row)


def read_events(connection: Connection, job_id: int) -> list[JobEvent]:
    """Return the history of a job, oldest first; raises NoSuchJob if there is none with this number."""
    read_job(connection, job_id)
    return _events(connection, job_id)


def read_deliveries(connection: Connection, job_id: int) -> list[DeliveryStatus]:
    """Return the job's deliveries, by destination."""
    query = (
        select(delivery, artifact.c.removed_at)
        .join(artifact, artifact.c.id == delivery.c.artifact_id)
        .where(delivery.c.job_id == job_id)
        .order_by(*IN_ORDER)
    )
    return [_delivery_of(row) for row in connection.execute(query)]


def _events(connection: Connection, job_id: int) -> list[JobEvent]:
    query = select(job_event).where(job_event.c.job_id == job_id).order_by(job_event.c.id)
    return [JobEvent(**row._asdict()) for row in connection.execute(query)]


def _newest(connection: Connection, states: Sequence[JobState], limit: int) -> list[int]:
    """Return the numbers of the newest jobs in these states.

    Each state is looked up in its index, so that the query does not go through every job there ever was.
    """
    found: set[int] = set()
    for state in states:
        query = select(job.c.id).where(job.c.state == state).order_by(job.c.id.desc()).limit(limit)
        found.update(connection.execute(query).scalars())
    return sorted(found, reverse=True)[:limit]


def statuses_of(connection: Connection, ids: Sequence[int]) -> list[JobStatus]:
    """Return jobs by their numbers, highest first."""
    found: list[JobStatus] = []
    for start in range(0, len(ids), MOST_IN_A_QUERY):
        some = job_status.c.job_id.in_(ids[start : start + MOST_IN_A_QUERY])
        rows = connection.execute(select(job_status).where(some).order_by(job_status.c.job_id.desc()))
        found += [_status_of(row) for row in rows]
    return found


def _delivery_of(row: Row[Any]) -> DeliveryStatus:
    return DeliveryStatus(**{field.name: row._mapping[field.name] for field in fields(DeliveryStatus)})


def _status_of(row: Row[Any]) -> JobStatus:
    values = row._asdict()
    values["id"] = values.pop("job_id")
    values["calling_aet"] = values.pop("sender")
    values["slice_count"] = values.pop("slices")
    return JobStatus(**values)

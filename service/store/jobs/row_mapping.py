"""Turns rows into the values that the store returns."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select

from service.store.jobs.wanted import wanted_of
from service.store.records import OpenJob, StoredFile, StoredInstance
from service.store.tables.schema import instance, instance_source, job


def instances_of(connection: Connection, job_id: int) -> list[StoredInstance]:
    """Return the kept instances of a job: those sent for it up to its version, by SOP Instance UID."""
    came_for_it = and_(
        instance_source.c.called_aet == job.c.called_aet,
        instance_source.c.calling_aet == job.c.calling_aet,
        instance_source.c.version <= job.c.version,
    )
    rows = connection.execute(
        select(instance)
        .select_from(job)
        .join(instance, of_its_series())
        .join(instance_source, and_(instance_source.c.instance_id == instance.c.id, came_for_it))
        .where(job.c.id == job_id, instance.c.removed_at.is_(None))
        .order_by(instance.c.sop_instance_uid)
    )
    return [instance_of(row) for row in rows]


def of_its_series() -> ColumnElement[bool]:
    """Tell, in SQL, whether an instance belongs to the series of a job."""
    return and_(instance.c.series_uid == job.c.series_uid, instance.c.study_uid == job.c.study_uid)


def instance_of(row: Row[Any]) -> StoredInstance:
    """Return a row of the table instance as a value."""
    return StoredInstance(
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        series_uid=row.series_uid,
        study_uid=row.study_uid,
        modality=row.modality,
        transfer_syntax_uid=row.transfer_syntax_uid,
        file=StoredFile(
            path=row.path, size_bytes=row.size_bytes, sha256=row.sha256, header_bytes=row.header_bytes
        ),
        received_at=row.received_at,
    )


def open_job_of(row: Row[Any]) -> OpenJob:
    """Return a row of the table job, which is open, as a value."""
    return OpenJob(
        id=row.id,
        version=row.version,
        state=row.state,
        reason=row.reason,
        series_uid=row.series_uid,
        study_uid=row.study_uid,
        called_aet=row.called_aet,
        calling_aet=row.calling_aet,
        slice_count=row.slice_count,
        expected_images=row.expected_images,
        received_at=row.received_at,
        last_received_at=row.last_received_at,
        wanted=wanted_of(row),
    )

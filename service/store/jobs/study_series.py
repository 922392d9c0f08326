"""What the store has of one study, series by series, for rules that wait for other series."""

from typing import Any

from sqlalchemy import Connection, func, select

from service.config import JobPurpose
from service.store.records import StudySeries
from service.store.states import FORGOTTEN, OPEN
from service.store.tables.schema import instance, job


def series_of(connection: Connection, study_uid: str) -> list[StudySeries]:
    """Return every series of a study of which anything was received, CT or not, by its UID."""
    rows = connection.execute(
        select(
            instance.c.series_uid,
            func.max(instance.c.modality).label("modality"),
            func.min(instance.c.path).label("path"),
            func.max(instance.c.received_at).label("last_received_at"),
        )
        .where(instance.c.study_uid == study_uid, instance.c.removed_at.is_(None))
        .group_by(instance.c.series_uid)
        .order_by(instance.c.series_uid)
    ).all()
    of_the_study = select(instance.c.series_uid).where(instance.c.study_uid == study_uid)
    jobs = connection.execute(
        select(job.c.series_uid, job.c.state, job.c.content_hash).where(
            job.c.series_uid.in_(of_the_study),
            job.c.study_uid == study_uid,
            job.c.purpose != JobPurpose.SHADOW,
        )
    ).all()
    with_job = {line.series_uid for line in jobs}
    closed = {
        line.series_uid for line in jobs if line.content_hash is not None and line.state not in FORGOTTEN
    }
    growing = {line.series_uid for line in jobs if line.state in OPEN}
    # an MR series may be here only for the sake of another one: it counts as having a job only while that job is open
    with_job -= {row.series_uid for row in rows if row.modality == "MR"} - growing
    return [_series(row, with_job, closed - growing) for row in rows]


def _series(row: Any, with_job: set[str], closed: set[str]) -> StudySeries:
    return StudySeries(
        series_uid=row.series_uid,
        modality=row.modality,
        sample_path=row.path,
        last_received_at=row.last_received_at,
        is_closed=row.series_uid in closed,
        has_job=row.series_uid in with_job,
    )

"""What a person decides about after a mismatch: everything unfinished that may have been delivered already."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, select, update

from service.store.database import Database
from service.store.errors import NotAllowed
from service.store.jobs.manual_changes import cancel
from service.store.jobs.row_mapping import instances_of
from service.store.jobs.transitions import withdraw_deliveries
from service.store.states import CANCELLABLE, OPEN, DeliveryKind, JobState
from service.store.tables.node_schema import node
from service.store.tables.schema import delivery, job

HELD_BACK = "held back after a recovery: it may have been contoured and delivered before; `retry` contours and delivers it"
FILES_MISSING = "its files are not all copied yet: `contour-node restore` again"
UNFINISHED = CANCELLABLE - {JobState.FAILED}


@dataclass(frozen=True, kw_only=True)
class UnfinishedJob:
    """A job that would be contoured or delivered once the node is released."""

    id: int
    state: JobState
    series_uid: str
    calling_aet: str
    slice_count: int
    paths: tuple[str, ...]
    """Of its images, if its series is still open: the times of these files tell how old it is."""


@dataclass(frozen=True, kw_only=True)
class NodeHold:
    """Why and since when the node is held, and whether every file has its row."""

    since: datetime
    reason: str
    is_recorded: bool


def read_hold(connection: Connection) -> NodeHold | None:
    """Return why and since when the node is held; None if it is not."""
    row = connection.execute(select(node)).one_or_none()
    if row is None or row.held_since is None:
        return None
    is_recorded = row.recovering_since is None and row.recovered_at is not None
    return NodeHold(since=row.held_since, reason=row.held_reason, is_recorded=is_recorded)


def unfinished_jobs(connection: Connection) -> list[UnfinishedJob]:
    """Return the jobs that wait to be contoured or delivered, by number."""
    rows = connection.execute(select(job).where(job.c.state.in_(UNFINISHED)).order_by(job.c.id))
    return [
        UnfinishedJob(
            id=row.id,
            state=row.state,
            series_uid=row.series_uid,
            calling_aet=row.calling_aet,
            slice_count=row.slice_count,
            paths=tuple(one.file.path for one in instances_of(connection, row.id))
            if row.state in OPEN
            else (),
        )
        for row in rows.all()
    ]


def require_recorded(connection: Connection) -> None:
    """Return if a decision can be made; raise NotAllowed, with the reason, if it cannot."""
    held = read_hold(connection)
    if held is None:
        raise NotAllowed("the node is not held: there is nothing to decide")
    if held.reason.endswith(FILES_MISSING):
        raise NotAllowed(held.reason)
    if not held.is_recorded:
        raise NotAllowed(
            "the files in the storage folder are not all recorded yet: start the node (it receives, but neither "
            "contours nor delivers) and wait until `contour-node recover` lists them"
        )


def hold_back(database: Database, connection: Connection, job_ids: Collection[int]) -> None:
    """Cancel these jobs, and withdraw every failure report that is still to be made or sent."""
    for job_id in job_ids:
        cancel(database, connection, job_id, HELD_BACK)
    connection.execute(
        update(job)
        .where(job.c.failure_report_due_at.is_not(None))
        .values(failure_report_due_at=None, failure_report_decided=True)
    )
    reported = exists().where(delivery.c.job_id == job.c.id, delivery.c.kind == DeliveryKind.FAILURE_REPORT)
    for job_id in connection.execute(select(job.c.id).where(reported)).scalars().all():
        withdraw_deliveries(connection, job_id, HELD_BACK)

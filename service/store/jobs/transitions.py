"""The only way a job changes its state: a guarded UPDATE and its event row, in the caller's transaction."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from service.config import JobPurpose
from service.store.states import FAILED_FOR_GOOD, TRANSITIONS, DeliveryState, EventKind, JobState
from service.store.tables.schema import delivery, job, job_event

# A wait longer than any setting allows was written while the clock was ahead: it is over.
LONGEST_WAIT = timedelta(days=1)
NOT_BEGUN = (DeliveryState.STANDBY, DeliveryState.PENDING)
NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None, "stage": ""}


@dataclass(frozen=True, kw_only=True)
class Transition:
    """A transition to be made: to which state, from which states, and its history line."""

    to: JobState
    kind: EventKind
    sources: Collection[JobState]
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class HistoryLine:
    """One line of a job's history."""

    kind: EventKind
    source: JobState | None
    to: JobState
    message: str = ""


def is_over(until: ColumnElement[datetime | None], now: datetime, longest: timedelta) -> ColumnElement[bool]:
    """Tell, in SQL, whether a wait has ended, or would last longer than the longest one and so cannot be meant."""
    return or_(until <= now, until > now + longest)


def lock(connection: Connection, job_id: int) -> Row[Any] | None:
    """Return the job's row, which nobody else can change until the transaction ends; None if there is none."""
    return connection.execute(select(job).where(job.c.id == job_id).with_for_update()).one_or_none()


def move(
    connection: Connection,
    row: Row[Any],
    step: Transition,
    at: datetime,
    *guards: ColumnElement[bool],
    **values: Any,
) -> bool:
    """Move a job whose row is locked; False, and nothing is changed, if its state or a guard does not allow it."""
    source = JobState(row.state)
    if source not in step.sources:
        return False
    if step.to not in TRANSITIONS[source]:
        raise AssertionError(f"no transition leads from {source} to {step.to}")
    is_reported = row.purpose is JobPurpose.CLINICAL and not row.failure_report_decided
    if step.to in FAILED_FOR_GOOD and is_reported:
        values["failure_report_due_at"] = at
    changed = connection.execute(
        update(job).where(job.c.id == row.id, job.c.state == source, *guards).values(state=step.to, **values)
    )
    if changed.rowcount == 0:
        return False
    add_history_line(
        connection, row.id, at, HistoryLine(kind=step.kind, source=source, to=step.to, message=step.message)
    )
    return True


def add_history_line(connection: Connection, job_id: int, at: datetime, line: HistoryLine) -> None:
    """Add a line to the job's history."""
    connection.execute(
        insert(job_event).values(
            job_id=job_id,
            at=at,
            kind=line.kind,
            from_state=line.source,
            to_state=line.to,
            message=line.message,
        )
    )


def note_once(connection: Connection, job_id: int, message: str, at: datetime) -> None:
    """Add a note to a job's history, unless it is there already."""
    row = lock(connection, job_id)
    if row is None:
        return
    said = select(job_event.c.id).where(job_event.c.job_id == job_id, job_event.c.message == message)
    if connection.execute(said.limit(1)).first() is None:
        state = JobState(row.state)
        add_history_line(
            connection, job_id, at, HistoryLine(kind=EventKind.NOTE, source=state, to=state, message=message)
        )


def withdraw_deliveries(connection: Connection, job_id: int, reason: str) -> None:
    """Withdraw the deliveries of a job that have not begun; one that is being sent is completed."""
    connection.execute(
        update(delivery)
        .where(delivery.c.job_id == job_id, delivery.c.state.in_(NOT_BEGUN))
        .values(state=DeliveryState.WITHDRAWN, reason=reason)
    )
    connection.execute(  # the destination took it; confirmation is no longer asked for
        update(delivery)
        .where(delivery.c.job_id == job_id, delivery.c.state == DeliveryState.UNCONFIRMED)
        .values(state=DeliveryState.SENT, reason=f"not confirmed: {reason}")
    )

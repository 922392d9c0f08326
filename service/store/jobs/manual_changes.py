"""Changes that a person makes to a job, each in the caller's transaction, which also adds the audit entry."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from service.config import JobPurpose
from service.store.database import Database
from service.store.errors import JobChanged, NoSuchJob, NotAllowed
from service.store.intake.reingest import kept
from service.store.jobs.cancelled_series import count_resent
from service.store.jobs.transitions import (
    NO_LEASE,
    HistoryLine,
    Transition,
    add_history_line,
    lock,
    move,
    withdraw_deliveries,
)
from service.store.jobs.versions import open_next_version
from service.store.jobs.wanted import AS_THE_RULES_SAY, Wanted
from service.store.states import (
    CANCELLABLE,
    PRIORITISABLE,
    RERUNNABLE,
    RETRYABLE,
    ArtifactRole,
    DeliveryKind,
    DeliveryState,
    EventKind,
    JobState,
)
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery, job, job_event

AGAIN: dict[str, Any] = {
    "reason": "",
    "attempts": 0,
    "confirmation_requests": 0,
    "not_before": None,
    "unreachable": False,
    "lease_owner": None,
    "lease_number": delivery.c.lease_number + 1,  # a process that is still sending it loses its lease
    "lease_expires_at": None,
}
"""The columns of a delivery that starts again."""


def cancel(database: Database, connection: Connection, job_id: int, reason: str) -> None:
    """Stop the job; its worker learns it at its next heartbeat, and deliveries that have not begun are withdrawn.

    Raises:
        NotAllowed: there is no such job, or its state does not allow it.
    """
    row = locked(connection, job_id, "cancelled", CANCELLABLE)
    step = Transition(to=JobState.CANCELLED, kind=EventKind.CANCELLED, sources=CANCELLABLE, message=reason)
    move(connection, row, step, database.clock(), reason=reason, not_before=None, **NO_LEASE)
    withdraw_deliveries(connection, job_id, reason)
    if row.purpose is not JobPurpose.SHADOW:
        count_resent(connection, row)


def retry(database: Database, connection: Connection, job_id: int) -> JobState:
    """Give a retrying, failed, refused or cancelled job another chance, with all its attempts.

    It continues where it stopped: delivering if the structure set was written, queued if its series was closed,
    otherwise receiving.

    Raises:
        NotAllowed: there is no such job, its state does not allow it, or what it needs was removed.
    """
    row = locked(connection, job_id, "retried", RETRYABLE)
    if row.superseded_by is not None:
        raise NotAllowed(f"job {job_id} cannot be retried: job {row.superseded_by} took its place")
    target = _goes_on_as(row)
    _check_files(connection, row, target)
    step = Transition(to=target, kind=EventKind.RETRIED, sources=RETRYABLE)
    move(connection, row, step, database.clock(), reason="", attempts=0, not_before=None)
    if target is JobState.DELIVERING:
        _deliver_again(connection, job_id)
    return target


def rerun(database: Database, connection: Connection, job_id: int, wanted: Wanted = AS_THE_RULES_SAY) -> int:
    """Open a new version of a job that has ended, with the same slices; return its number.

    `wanted` takes the place of what the rules say.

    Raises:
        NotAllowed: there is no such job, its state does not allow it, there is a newer version, images were removed, or
            it is a shadow job.
    """
    row = locked(connection, job_id, "run again", RERUNNABLE)
    if row.purpose is JobPurpose.SHADOW:
        raise NotAllowed(
            f"job {job_id} is a shadow job of job {row.shadow_of}: run that one again, and its shadow jobs follow"
        )
    _check_files(connection, row, JobState.RECEIVING)
    by = f" by {wanted.words}" if wanted.words else ""
    reason = f"run again by hand{by}, after version {row.version}"
    opened = open_next_version(database, connection, row, reason, wanted=wanted)
    if opened is None:
        raise NotAllowed(f"job {job_id} cannot be run again: there is a newer version of it")
    return int(opened.id)


def change_priority(database: Database, connection: Connection, job_id: int, priority: int) -> int:
    """Change a job's priority, which decides what is run and delivered first; return the priority that it had.

    Raises:
        NotAllowed: there is no such job, or it has no work left.
    """
    row = locked(connection, job_id, "given another priority", PRIORITISABLE)
    before = int(row.priority or 0)
    if before != priority:
        connection.execute(update(job).where(job.c.id == job_id).values(priority=priority))
        message = f"priority {priority} in place of {before}, by hand"
        line = HistoryLine(kind=EventKind.NOTE, source=row.state, to=row.state, message=message)
        add_history_line(connection, job_id, database.clock(), line)
    return before


def require_unchanged(connection: Connection, job_id: int, seen: int) -> None:
    """Return if nothing has happened to a job since its event `seen`; the job's row is locked.

    Raises:
        JobChanged: something has, or there is no such job.
    """
    row = lock(connection, job_id)
    newest = select(func.max(job_event.c.id)).where(job_event.c.job_id == job_id)
    if row is None or connection.execute(newest).scalar_one() != seen:
        state = "gone" if row is None else row.state.value
        raise JobChanged(
            f"job {job_id} has changed since you looked at it: it is {state} now. Look again, then decide."
        )


def locked(connection: Connection, job_id: int, done_to_it: str, sources: Collection[JobState]) -> Row[Any]:
    """Return the row of a job, locked.

    Raises:
        NotAllowed: there is no such job, or its state does not allow what is to be done to it.
    """
    row = lock(connection, job_id)
    if row is None:
        raise NoSuchJob(f"there is no job {job_id}")
    if row.state not in sources:
        raise NotAllowed(
            f"job {job_id} is {row.state} and cannot be {done_to_it}; only one that is {', '.join(sorted(sources))} can"
        )
    return row


def _check_files(connection: Connection, row: Row[Any], target: JobState) -> None:
    """Refuse what needs files that retention has removed."""
    if target is JobState.DELIVERING:
        gone = select(artifact.c.id).where(
            artifact.c.job_id == row.id,
            artifact.c.role == ArtifactRole.RESULT,
            artifact.c.removed_at.is_not(None),
        )
        if connection.execute(gone.limit(1)).first() is not None:
            raise NotAllowed(f"retention has removed the objects made for job {row.id}; run it again")
    elif (left := kept(connection, row)) < row.slice_count:
        raise NotAllowed(
            f"{row.slice_count - left} of the {row.slice_count} images of job {row.id} were removed by "
            "retention; send the series again"
        )


def _goes_on_as(row: Row[Any]) -> JobState:
    if row.has_result:
        return JobState.DELIVERING
    return JobState.RECEIVING if row.content_hash is None else JobState.QUEUED


def _deliver_again(connection: Connection, job_id: int) -> None:
    """Make the deliveries that did not succeed pending again, or standby for a fallback."""
    of_the_result = [delivery.c.job_id == job_id, delivery.c.kind == DeliveryKind.RESULT]
    for state, standing_by in ((DeliveryState.PENDING, False), (DeliveryState.STANDBY, True)):
        connection.execute(
            update(delivery)
            .where(
                *of_the_result,
                delivery.c.state != DeliveryState.SENT,
                (delivery.c.fallback_for != "") == standing_by,
            )
            .values(state=state, **AGAIN)
        )

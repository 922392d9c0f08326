"""The use cases of jobs: view one, and change one."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.application.actors import Actor, Operation
from service.application.audited import perform
from service.store import (
    Database,
    DeliveryStatus,
    JobEvent,
    JobState,
    JobStatus,
    StructureResult,
    cancel,
    read_deliveries,
    read_events,
    read_job,
    read_jobs,
    read_structure_results,
    rerun,
    retry,
)


@dataclass(frozen=True, kw_only=True)
class JobDetails:
    """A job with its deliveries and its structures."""

    status: JobStatus
    deliveries: Sequence[DeliveryStatus]
    structures: Sequence[StructureResult]


def list_jobs(
    database: Database, actor: Actor, *, states: Sequence[JobState] = (), limit: int = 100
) -> Sequence[JobStatus]:
    """Give the newest jobs first; no states: every state."""
    return perform(
        database,
        actor,
        Operation.JOBS,
        None,
        lambda transaction: read_jobs(transaction, states=states, limit=limit),
        detail=", ".join(states),
    )


def show_job(database: Database, actor: Actor, job_id: int) -> JobDetails:
    """Give a job, its deliveries and its structures.

    Raises:
        NotAllowed: there is no such job.
    """
    return perform(
        database,
        actor,
        Operation.SHOW,
        job_id,
        lambda transaction: JobDetails(
            status=read_job(transaction, job_id),
            deliveries=read_deliveries(transaction, job_id),
            structures=read_structure_results(transaction, job_id),
        ),
    )


def show_events(database: Database, actor: Actor, job_id: int) -> Sequence[JobEvent]:
    """Give a job's history, oldest first.

    Raises:
        NotAllowed: there is no such job.
    """
    return perform(
        database, actor, Operation.EVENTS, job_id, lambda transaction: read_events(transaction, job_id)
    )


def retry_job(database: Database, actor: Actor, job_id: int) -> JobState:
    """Give a retrying, failed, refused or cancelled job another chance; return its new state.

    Raises:
        NotAllowed: its state does not allow it, or what it needs was removed.
    """
    return perform(
        database, actor, Operation.RETRY, job_id, lambda transaction: retry(database, transaction, job_id)
    )


def rerun_job(database: Database, actor: Actor, job_id: int) -> int:
    """Contour a job's images again as a new version; return that job's number.

    Raises:
        NotAllowed: its state does not allow it, there is a newer version, or its images were removed.
    """
    return perform(
        database, actor, Operation.RERUN, job_id, lambda transaction: rerun(database, transaction, job_id)
    )


def cancel_job(database: Database, actor: Actor, job_id: int, *, reason: str = "cancelled by hand") -> None:
    """Stop a job and withdraw its deliveries that have not begun.

    Raises:
        NotAllowed: its state does not allow it.
    """
    perform(
        database,
        actor,
        Operation.CANCEL,
        job_id,
        lambda transaction: cancel(database, transaction, job_id, reason),
    )

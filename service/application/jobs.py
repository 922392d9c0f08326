"""The use cases of viewing jobs: list, show, search, and their history."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.application.actors import Actor, Operation, require_patients, require_permission
from service.application.audited import Result, perform
from service.config import JobPurpose
from service.store import (
    ArtifactStatus,
    Database,
    DeliveryStatus,
    JobEvent,
    JobFilter,
    JobState,
    JobStatus,
    ListedJob,
    SeriesHeader,
    StructureResult,
    Transaction,
    read_artifacts,
    read_deliveries,
    read_events,
    read_job,
    read_jobs,
    read_page,
    read_series,
    read_structure_results,
)
from service.store.jobs.past_series import PastSeries, read_past_series
from service.store.jobs.series_facts import find_series_headers


@dataclass(frozen=True, kw_only=True)
class JobDetails:
    """A job with its artifacts, deliveries, structures, and its series facts (None: not inspected yet)."""

    status: JobStatus
    artifacts: Sequence[ArtifactStatus]
    deliveries: Sequence[DeliveryStatus]
    structures: Sequence[StructureResult]
    series: SeriesHeader | None


def list_jobs(
    database: Database,
    actor: Actor,
    *,
    states: Sequence[JobState] = (),
    purposes: Sequence[JobPurpose] = (),
    limit: int = 100,
) -> Sequence[JobStatus]:
    """Return jobs, newest first; without states or purposes, all of them."""
    return perform(
        database,
        actor,
        Operation.JOBS,
        None,
        lambda transaction: read_jobs(transaction, states=states, purposes=purposes, limit=limit),
        detail=", ".join((*states, *purposes)),
    )


def show_job(database: Database, actor: Actor, job_id: int, *, is_recorded: bool = True) -> JobDetails:
    """Return a job with its artifacts, deliveries and structures.

    Args:
        database: the node's.
        actor: who views it.
        job_id: the job's number.
        is_recorded: False if the actor was shown the same, and this was recorded, a moment ago.

    Raises:
        NotAllowed: there is no such job.
    """
    return _look(
        database,
        actor,
        Operation.SHOW,
        job_id,
        lambda found: _details(found, job_id),
        is_recorded=is_recorded,
    )


def search_jobs(
    database: Database, actor: Actor, wanted: JobFilter, *, is_recorded: bool = True
) -> list[ListedJob]:
    """Return a page of jobs with their series facts; arguments as in show_job()."""
    return _look(
        database,
        actor,
        Operation.JOBS,
        None,
        lambda transaction: read_page(transaction, wanted),
        is_recorded=is_recorded,
    )


def list_series(
    database: Database, actor: Actor, wanted: Mapping[str, str], *, limit: int = 200
) -> list[SeriesHeader]:
    """Return series facts, selected by exact values of columns; newest first.

    Args:
        database: the node's.
        actor: who looks.
        wanted: the value wanted of `series_uid`, `study_uid`, `patient_id` or `accession_number`.
        limit: the most series to return.

    Raises:
        NotPermitted: a patient is asked for by an actor who may not see patients.
    """
    if wanted.keys() & {"patient_id", "accession_number"}:
        require_patients(actor, "series are found by patient and accession number for those who see patients")
    return perform(
        database,
        actor,
        Operation.JOBS,
        None,
        lambda transaction: find_series_headers(transaction, wanted, limit=limit),
        detail="series",
    )


def past_series(
    database: Database, actor: Actor, *, limit: int, is_taken_away: bool = False
) -> list[PastSeries]:
    """Return the attributes that rules may test of the newest series, to try a draft of rules on them.

    The trail says so, and whether the actor takes them away as a file.

    Raises:
        NotPermitted: the actor may not work on rules.
    """
    return perform(
        database,
        actor,
        Operation.RULES,
        None,
        lambda transaction: read_past_series(transaction, limit),
        detail=f"a draft tried on the last {limit} series{', taken away as CSV' if is_taken_away else ''}",
    )


def _details(transaction: Transaction, job_id: int) -> JobDetails:
    status = read_job(transaction, job_id)
    return JobDetails(
        status=status,
        artifacts=read_artifacts(transaction, job_id),
        deliveries=read_deliveries(transaction, job_id),
        structures=read_structure_results(transaction, job_id),
        series=read_series(transaction, status.series_uid, status.study_uid),
    )


def _look(
    database: Database,
    actor: Actor,
    action: Operation,
    job_id: int | None,
    read: Callable[[Transaction], Result],
    *,
    is_recorded: bool,
) -> Result:
    if is_recorded:
        return perform(database, actor, action, job_id, read)
    require_permission(actor, action)
    with database.reading() as connection:
        return read(connection)


def show_events(
    database: Database, actor: Actor, job_id: int, *, is_recorded: bool = True
) -> Sequence[JobEvent]:
    """Return a job's history, oldest event first; arguments as in show_job().

    Raises:
        NotAllowed: there is no such job.
    """
    return _look(
        database,
        actor,
        Operation.EVENTS,
        job_id,
        lambda transaction: read_events(transaction, job_id),
        is_recorded=is_recorded,
    )

"""The store as people see it: lists, histories, and their commands."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select, update

from service.store.database import Database
from service.store.errors import NotAllowed
from service.store.intake.reingest import kept
from service.store.jobs.cancelled_series import count_resent
from service.store.jobs.integrity import mark_damaged
from service.store.jobs.row_mapping import instance_of, instances_of, result_of
from service.store.jobs.transitions import NO_LEASE, Transition, lock, move, withdraw_deliveries
from service.store.jobs.versions import open_next_version
from service.store.records import DeliveryStatus, JobEvent, JobStatus, StoredFile, StoredInstance
from service.store.states import (
    CANCELLABLE,
    RERUNNABLE,
    RETRYABLE,
    DeliveryKind,
    DeliveryState,
    EventKind,
    JobState,
)
from service.store.tables.schema import delivery, instance, job, job_event, job_status, removal

MOST_IN_A_QUERY = 500
IN_ORDER = (delivery.c.destination, delivery.c.kind, delivery.c.id)


class ReceivedFile(NamedTuple):
    """What a start must know of a recorded instance, a hundred thousand times."""

    path: str
    size_bytes: int
    sop_instance_uid: str
    series_uid: str
    removed_at: datetime | None  # by retention
    damaged_at: datetime | None  # known to be gone or changed


class JobRepository:
    """Read jobs and give orders about them; every order that is not possible raises NotAllowed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_jobs(
        self, *, states: Sequence[JobState] = (), series_uid: str | None = None, limit: int = 100
    ) -> list[JobStatus]:
        """Give the newest jobs first; no states: every state."""
        query = select(job_status).order_by(job_status.c.job_id.desc()).limit(limit)
        if series_uid is not None:
            query = query.where(job_status.c.series_uid == series_uid)
        with self._database.reading() as connection:
            if states and series_uid is None:
                return _statuses(connection, _newest(connection, states, limit))
            if states:
                query = query.where(job_status.c.state.in_(states))
            return [_status_of(row) for row in connection.execute(query)]

    def counts(self) -> dict[JobState, int]:
        """Give the number of jobs in each state that has any."""
        with self._database.reading() as connection:
            rows = connection.execute(select(job.c.state, func.count()).group_by(job.c.state))
            return {row[0]: row[1] for row in rows}

    def job(self, job_id: int) -> JobStatus:
        """Give one job; raises NotAllowed when there is none with this number."""
        with self._database.reading() as connection:
            row = connection.execute(select(job_status).where(job_status.c.job_id == job_id)).one_or_none()
        if row is None:
            raise NotAllowed(f"there is no job {job_id}")
        return _status_of(row)

    def events(self, job_id: int) -> list[JobEvent]:
        """Give the job's history, oldest first."""
        query = select(job_event).where(job_event.c.job_id == job_id).order_by(job_event.c.id)
        with self._database.reading() as connection:
            return [JobEvent(**row._asdict()) for row in connection.execute(query)]

    def deliveries(self, job_id: int) -> list[DeliveryStatus]:
        """Give the job's destinations and how they stand."""
        query = select(delivery).where(delivery.c.job_id == job_id).order_by(*IN_ORDER)
        with self._database.reading() as connection:
            return [_delivery_of(row) for row in connection.execute(query)]

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Give the instances of the job, by SOP Instance UID."""
        with self._database.reading() as connection:
            return instances_of(connection, job_id)

    def instances_of_series(self, series_uid: str, *, study_uid: str = "") -> list[StoredInstance]:
        """Give everything recorded of a series, CT or not, by SOP Instance UID; of one study where it is named."""
        query = select(instance).where(instance.c.series_uid == series_uid)
        if study_uid:
            query = query.where(instance.c.study_uid == study_uid)
        query = query.order_by(instance.c.sop_instance_uid, instance.c.study_uid)
        with self._database.reading() as connection:
            return [instance_of(row) for row in connection.execute(query)]

    def result(self, job_id: int) -> StoredFile | None:
        """Give the job's structure set, if it has been written."""
        with self._database.reading() as connection:
            row = connection.execute(select(job).where(job.c.id == job_id)).one_or_none()
        return None if row is None or row.result_path is None else result_of(row)

    def known_files(self, paths: Collection[str]) -> frozenset[str]:
        """Give those of the paths that a row names (for FileStore.recover)."""
        asked = sorted(paths)
        known: set[str] = set()
        with self._database.reading() as connection:
            for start in range(0, len(asked), MOST_IN_A_QUERY):
                some = asked[start : start + MOST_IN_A_QUERY]
                for query in (
                    select(instance.c.path).where(instance.c.removed_at.is_(None)),
                    select(delivery.c.path),
                    select(removal.c.path),
                ):
                    asked_for = query.where(query.selected_columns[0].in_(some))
                    known.update(connection.execute(asked_for).scalars())
        return frozenset(known)

    def received_in(self, folder: str) -> dict[str, ReceivedFile]:
        """Give what is recorded of the files in a folder of the storage folder, by their paths."""
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

    def mark_damaged(self, paths: Sequence[str]) -> None:
        """Note that files of received instances are gone or cut: sent again, they are replaced."""
        for start in range(0, len(paths), MOST_IN_A_QUERY):
            mark_damaged(self._database, paths[start : start + MOST_IN_A_QUERY])

    def made_files(self) -> frozenset[str]:
        """Give the paths of all files that this node made and some job or delivery names."""
        with self._database.reading() as connection:
            results = connection.execute(select(job.c.result_path).where(job.c.result_path.is_not(None)))
            sent = connection.execute(select(delivery.c.path).distinct())
            return frozenset([*results.scalars(), *sent.scalars()])

    def cancel(self, job_id: int, reason: str = "cancelled by hand") -> None:
        """Stop the job; its worker learns by its next heartbeat, deliveries not begun are withdrawn."""
        step = Transition(
            to=JobState.CANCELLED, kind=EventKind.CANCELLED, sources=CANCELLABLE, message=reason
        )
        with self._database.writing() as connection:
            row = _locked(connection, job_id, "cancelled", CANCELLABLE)
            move(connection, row, step, self._database.clock(), reason=reason, not_before=None, **NO_LEASE)
            withdraw_deliveries(connection, job_id, reason)
            count_resent(connection, row)

    def retry(self, job_id: int) -> JobState:
        """Give a retrying, failed, refused or cancelled job another chance, with all its attempts.

        It goes on where it stood: delivering when the structure set is written, queued when its series was closed,
        otherwise receiving.
        """
        with self._database.writing() as connection:
            row = _locked(connection, job_id, "tried again", RETRYABLE)
            if row.superseded_by is not None:
                raise NotAllowed(
                    f"job {job_id} cannot be tried again: job {row.superseded_by} took its place"
                )
            target = _goes_on_as(row)
            _check_files(connection, row, target)
            step = Transition(to=target, kind=EventKind.RETRIED, sources=RETRYABLE)
            now = self._database.clock()
            move(connection, row, step, now, reason="", attempts=0, not_before=None)
            if target is JobState.DELIVERING:
                _deliver_again(connection, job_id)
            return target

    def rerun(self, job_id: int) -> int:
        """Open a new version of a job that came to an end, with the same slices; return its number."""
        with self._database.writing() as connection:
            row = _locked(connection, job_id, "run again", RERUNNABLE)
            _check_files(connection, row, JobState.RECEIVING)
            opened = open_next_version(
                self._database, connection, row, f"run again by hand, after version {row.version}", passes=1
            )
            if opened is None:
                raise NotAllowed(f"job {job_id} cannot be run again: there is a newer version of it")
            return int(opened.id)


def _newest(connection: Connection, states: Sequence[JobState], limit: int) -> list[int]:
    """Give the numbers of the newest jobs in these states: each state's from its index, not all jobs there ever were."""
    found: set[int] = set()
    for state in states:
        query = select(job.c.id).where(job.c.state == state).order_by(job.c.id.desc()).limit(limit)
        found.update(connection.execute(query).scalars())
    return sorted(found, reverse=True)[:limit]


def _statuses(connection: Connection, ids: Sequence[int]) -> list[JobStatus]:
    """Give jobs by their numbers, highest first."""
    found: list[JobStatus] = []
    for start in range(0, len(ids), MOST_IN_A_QUERY):
        some = job_status.c.job_id.in_(ids[start : start + MOST_IN_A_QUERY])
        rows = connection.execute(select(job_status).where(some).order_by(job_status.c.job_id.desc()))
        found += [_status_of(row) for row in rows]
    return found


def _locked(connection: Connection, job_id: int, done_to_it: str, sources: Collection[JobState]) -> Row[Any]:
    row = lock(connection, job_id)
    if row is None:
        raise NotAllowed(f"there is no job {job_id}")
    if row.state not in sources:
        raise NotAllowed(
            f"job {job_id} is {row.state} and cannot be {done_to_it}; only one that is {', '.join(sorted(sources))} can"
        )
    return row


def _check_files(connection: Connection, row: Row[Any], target: JobState) -> None:
    """Refuse what needs files that retention has removed."""
    if target is JobState.DELIVERING:
        gone = select(delivery.c.id).where(delivery.c.job_id == row.id, delivery.c.removed_at.is_not(None))
        if connection.execute(gone.limit(1)).first() is not None:
            raise NotAllowed(f"the objects made for job {row.id} were removed after their time; run it again")
    elif (left := kept(connection, row)) < row.slice_count:
        raise NotAllowed(
            f"{row.slice_count - left} of the {row.slice_count} images of job {row.id} were removed after their "
            "time; send the series again"
        )


def _goes_on_as(row: Row[Any]) -> JobState:
    if row.result_path is not None:
        return JobState.DELIVERING
    return JobState.RECEIVING if row.content_hash is None else JobState.QUEUED


def _deliver_again(connection: Connection, job_id: int) -> None:
    """Send what no destination has, each fallback only if it is needed once more."""
    values = {
        "reason": "",
        "attempts": 0,
        "confirmation_requests": 0,
        "not_before": None,
        "unreachable": False,
        "lease_owner": None,
        "lease_number": delivery.c.lease_number + 1,  # a sender that still works on it has lost it
        "lease_expires_at": None,
    }
    of_the_result = [delivery.c.job_id == job_id, delivery.c.kind == DeliveryKind.RESULT]
    for state, standing_by in ((DeliveryState.PENDING, False), (DeliveryState.STANDBY, True)):
        connection.execute(
            update(delivery)
            .where(
                *of_the_result,
                delivery.c.state != DeliveryState.SENT,
                (delivery.c.fallback_for != "") == standing_by,
            )
            .values(state=state, **values)
        )


def _delivery_of(row: Row[Any]) -> DeliveryStatus:
    return DeliveryStatus(**{field.name: row._mapping[field.name] for field in fields(DeliveryStatus)})


def _status_of(row: Row[Any]) -> JobStatus:
    values = row._asdict()
    values["id"] = values.pop("job_id")
    values["calling_aet"] = values.pop("sender")
    values["slice_count"] = values.pop("slices")
    return JobStatus(**values)

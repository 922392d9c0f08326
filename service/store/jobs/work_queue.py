"""The store's interface for the role `work`: queued jobs, leases and results."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, or_, select, update

from service.config import JobPurpose
from service.store.audit.log import AuditEvent, AuditKind, audit_job
from service.store.clock_steps import LeaseWatch, SetBackWatch
from service.store.database import Database
from service.store.jobs.artifacts import NewArtifact, Origin, add_artifacts
from service.store.jobs.integrity import mark_damaged
from service.store.jobs.replacement import replaced_by
from service.store.jobs.row_mapping import instances_of
from service.store.jobs.structure_results import StructureResult, replace_structure_results
from service.store.jobs.transitions import (
    LONGEST_WAIT,
    NO_LEASE,
    HistoryLine,
    Transition,
    add_history_line,
    is_over,
    lock,
    move,
)
from service.store.records import ClaimedJob, StoredInstance
from service.store.states import CLAIMABLE, ArtifactRole, EventKind, JobState
from service.store.tables.schema import job

RUNNING = frozenset({JobState.RUNNING})


class WorkQueue:
    """Jobs to be contoured. Every write returns False, and changes nothing, if the lease is lost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = LeaseWatch(database)
        self._set_back = SetBackWatch(database)

    def claim(self, worker: str, *, lease_s: float, max_attempts: int) -> ClaimedJob | None:
        """Claim the most urgent job that is due or abandoned: clinical ones first, then by priority and age.

        A job that its workers abandoned max_attempts times fails for good instead. A job that was tried before runs
        alone, so that it fails no other job if it brings the model server down again.
        """
        while self._anything_due(lease_s):
            now = self._database.clock()
            with self._database.writing() as connection:
                abandoned = self._abandoned(connection, lease_s)
                row = connection.execute(
                    select(job)
                    .where(_due(now, abandoned))
                    .order_by(_clinical_first(), job.c.priority.desc(), job.c.id)
                    .limit(1)
                    .with_for_update(skip_locked=True)
                ).one_or_none()
                if row is None or _must_wait(connection, row, abandoned):
                    return None
                if row.state is not JobState.RUNNING or row.attempts < max_attempts:
                    self._leases.wrote(row.id, row.lease_number + 1, now + timedelta(seconds=lease_s))
                    return _lease(connection, row, worker, now, lease_s)
                _fail_crashing_job(connection, row, now)
        return None

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Return the instances of the job, by SOP Instance UID."""
        with self._database.reading() as connection:
            return instances_of(connection, job_id)

    def heartbeat(self, claim: ClaimedJob, *, lease_s: float) -> bool:
        """Prolong the lease; False: stop, another worker has the job, or it was cancelled or superseded."""
        until = self._database.clock() + timedelta(seconds=lease_s)
        with self._database.writing() as connection:
            changed = connection.execute(
                update(job).where(job.c.id == claim.id, *_held(claim)).values(lease_expires_at=until)
            )
            self._leases.wrote(claim.id, claim.lease_number, until)
            return changed.rowcount == 1

    def stage(self, claim: ClaimedJob, stage: str) -> bool:
        """Record the stage that the worker has reached."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(job).where(job.c.id == claim.id, *_held(claim)).values(stage=stage)
            )
            if changed.rowcount == 0:
                return False
            now = self._database.clock()
            running = JobState.RUNNING
            add_history_line(
                connection,
                claim.id,
                now,
                HistoryLine(kind=EventKind.STAGE, source=running, to=running, message=stage),
            )
            return True

    def finish(
        self,
        claim: ClaimedJob,
        *,
        made: Sequence[NewArtifact],
        notes: Sequence[str] = (),
        structures: Sequence[StructureResult] = (),
    ) -> bool:
        """Record the job's artifacts with their deliveries, the notes on the result and its structures.

        The job is then delivering, or done if nothing is to be delivered. The first artifact is the job's result.

        Raises:
            ValueError: there is no artifact, or a destination for the result of a job that is not clinical.
        """
        destinations = list(dict.fromkeys(name for one in made for name in one.destinations))
        if not made or (destinations and claim.purpose is not JobPurpose.CLINICAL):
            raise ValueError(f"job {claim.id}, {claim.purpose}: {len(made)} artifacts for {destinations}")
        now = self._database.clock()
        state = JobState.DELIVERING if destinations else JobState.DONE
        message = f"for {', '.join(destinations)}" if destinations else "kept, not delivered"
        step = Transition(to=state, kind=EventKind.FINISHED, sources=RUNNING, message=message)
        origin = Origin(
            job_id=claim.id,
            role=ArtifactRole.RESULT,
            model=claim.model,
            model_version=claim.model_version,
        )
        with self._database.writing() as connection:
            if not self._leave(connection, claim, step, finished_at=now, reason="", has_result=True):
                return False
            for note in dict.fromkeys(notes):
                line = HistoryLine(kind=EventKind.NOTE, source=state, to=state, message=note)
                add_history_line(connection, claim.id, now, line)
            add_artifacts(connection, origin, made, now)
            replace_structure_results(connection, claim.id, structures)
            audit_job(connection, claim.id, now, _audited(claim, len(made)))
            return True

    def postpone(self, claim: ClaimedJob, *, reason: str, delay_s: float) -> bool:
        """Queue the job again for later (TryAgain); the attempt does not count."""
        step = Transition(to=JobState.QUEUED, kind=EventKind.POSTPONED, sources=RUNNING, message=reason)
        later = self._database.clock() + timedelta(seconds=delay_s)
        with self._database.writing() as connection:
            return self._leave(
                connection, claim, step, reason=reason, not_before=later, attempts=claim.attempt - 1
            )

    def fail(self, claim: ClaimedJob, *, reason: str, max_attempts: int, delay_s: float) -> bool:
        """Count the attempt: the job is due again after delay_s (retrying), or has failed after the last one."""
        last_one = claim.attempt >= max_attempts
        step = Transition(
            to=JobState.FAILED if last_one else JobState.RETRYING,
            kind=EventKind.FAILED if last_one else EventKind.RETRYING,
            sources=RUNNING,
            message=f"attempt {claim.attempt} of {max_attempts}: {reason}",
        )
        later = None if last_one else self._database.clock() + timedelta(seconds=delay_s)
        with self._database.writing() as connection:
            return self._leave(connection, claim, step, reason=reason, not_before=later)

    def refuse(self, claim: ClaimedJob, *, reason: str) -> bool:
        """End the job with the reason in plain words (Refused)."""
        step = Transition(to=JobState.REFUSED, kind=EventKind.REFUSED, sources=RUNNING, message=reason)
        with self._database.writing() as connection:
            return self._leave(connection, claim, step, reason=reason)

    def damaged(self, path: str) -> None:
        """Mark an image's stored file as damaged: an image sent again replaces it."""
        mark_damaged(self._database, [path])

    def _anything_due(self, lease_s: float) -> bool:
        """Look without taking SQLite's write lock, which an idle worker would take at every poll."""
        self._set_back.look(job, job.c.state.in_(CLAIMABLE))
        with self._database.reading() as connection:
            due = _due(self._database.clock(), self._abandoned(connection, lease_s))
            return connection.execute(select(job.c.id).where(due).limit(1)).first() is not None

    def _abandoned(self, connection: Connection, lease_s: float) -> list[int]:
        """Return the running jobs whose workers no longer renew their leases."""
        running = select(job.c.id, job.c.lease_number, job.c.lease_expires_at).where(
            job.c.state == JobState.RUNNING
        )
        return self._leases.abandoned(connection.execute(running), lease_s)

    def _leave(self, connection: Connection, claim: ClaimedJob, step: Transition, **values: Any) -> bool:
        """Make the transition that ends a worker's hold on its job."""
        row = lock(connection, claim.id)
        now = self._database.clock()
        return row is not None and move(connection, row, step, now, *_held(claim), **NO_LEASE, **values)


def _audited(claim: ClaimedJob, objects: int) -> AuditEvent:
    return AuditEvent(
        kind=AuditKind.CONTOURED,
        role="work",
        actor=f"{claim.model} {claim.model_version}",
        instance_count=objects,
    )


def _due(now: datetime, abandoned: Collection[int]) -> ColumnElement[bool]:
    waits = and_(
        job.c.state.in_(CLAIMABLE),
        or_(job.c.not_before.is_(None), is_over(job.c.not_before, now, LONGEST_WAIT)),
    )
    # The first condition follows from the second; it keeps the query from going through every job there ever was.
    return and_(job.c.state.in_(CLAIMABLE | RUNNING), or_(waits, job.c.id.in_(abandoned)))


def _clinical_first() -> ColumnElement[int]:
    return case((job.c.purpose == JobPurpose.CLINICAL, 0), else_=1)


def _must_wait(connection: Connection, row: Row[Any], abandoned: Collection[int]) -> bool:
    """Tell whether a job has to wait for running ones, because it was tried before or one of them was."""
    running = select(job.c.attempts).where(
        job.c.state == JobState.RUNNING, job.c.id.not_in(abandoned), job.c.id != row.id
    )
    attempts = connection.execute(running).scalars().all()
    return bool(attempts) and (row.attempts > 0 or max(attempts) > 1)


def _held(claim: ClaimedJob) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that hold only while the claim does: state, worker and lease number."""
    return (
        job.c.state == JobState.RUNNING,
        job.c.lease_owner == claim.worker,
        job.c.lease_number == claim.lease_number,
    )


def _lease(connection: Connection, row: Row[Any], worker: str, now: datetime, lease_s: float) -> ClaimedJob:
    abandoned = row.state is JobState.RUNNING
    step = Transition(
        to=JobState.RUNNING,
        kind=EventKind.LEASE_EXPIRED if abandoned else EventKind.CLAIMED,
        sources=CLAIMABLE | RUNNING,
        message=f"{row.lease_owner} gave no sign of life; {worker} takes over" if abandoned else worker,
    )
    moved = move(
        connection,
        row,
        step,
        now,
        lease_owner=worker,
        lease_number=row.lease_number + 1,
        lease_expires_at=now + timedelta(seconds=lease_s),
        attempts=row.attempts + 1,
        started_at=now,
        not_before=None,
        reason="",
        stage="",
    )
    if not moved:
        raise AssertionError(f"job {row.id} changed while its row was locked")
    return ClaimedJob(
        id=row.id,
        uid=row.result_uid or row.uid,
        version=row.version,
        series_uid=row.series_uid,
        study_uid=row.study_uid,
        called_aet=row.called_aet,
        calling_aet=row.calling_aet,
        rule=row.rule,
        model=row.model,
        model_version=row.model_version,
        content_hash=row.content_hash,
        priority=row.priority,
        attempt=row.attempts + 1,
        worker=worker,
        lease_number=row.lease_number + 1,
        received_at=row.received_at,
        queued_at=row.queued_at,
        slice_count=row.slice_count,
        expected_images=row.expected_images,
        doubt=row.doubt,
        set_version=row.set_version,
        replaces=replaced_by(connection, row),
        purpose=row.purpose,
        rule_set=row.rule_set,
    )


def _fail_crashing_job(connection: Connection, row: Row[Any], now: datetime) -> None:
    reason = f"{row.attempts} workers in a row gave no sign of life while they had this job"
    step = Transition(to=JobState.FAILED, kind=EventKind.FAILED, sources=RUNNING, message=reason)
    move(connection, row, step, now, reason=reason, **NO_LEASE)

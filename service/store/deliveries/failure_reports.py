"""The queue of failure reports: jobs that failed for good and have not been reported yet."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, Row, select, update

from service.store.database import Database
from service.store.jobs.artifacts import NewArtifact, Origin, add_artifacts
from service.store.jobs.row_mapping import instances_of
from service.store.jobs.transitions import HistoryLine, add_history_line
from service.store.records import FailedJob, StoredInstance
from service.store.states import FAILED_FOR_GOOD, ArtifactRole, DeliveryKind, DeliveryState, EventKind
from service.store.tables.schema import delivery, job


class FailureReportQueue:
    """Failures to report, each once per job version.

    A job that was retried or superseded meanwhile is not reported. Several processes may use the queue at once:
    of two decisions about one job the second changes nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def next_failure(self) -> FailedJob | None:
        """Return the job that has waited longest for its report; decide about it with send() or skip()."""
        oldest = select(job).where(*_undecided()).order_by(job.c.failure_report_due_at, job.c.id).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(oldest).one_or_none()
            return None if row is None else _failed(connection, row)

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Return the instances of the job, by SOP Instance UID."""
        with self._database.reading() as connection:
            return instances_of(connection, job_id)

    def send(self, failure: FailedJob, made: Sequence[NewArtifact], note: str) -> bool:
        """Record the reports with their deliveries; False if it was decided already, or the job goes on."""
        now = self._database.clock()
        with self._database.writing() as connection:
            if not self._decide(connection, failure, note):
                return False
            origin = Origin(job_id=failure.id, role=ArtifactRole.FAILURE_REPORT)
            add_artifacts(connection, origin, made, now)
            return True

    def skip(self, failure: FailedJob, note: str = "") -> bool:
        """Record that the failure is not reported, and why if that is worth a line in the job's history."""
        with self._database.writing() as connection:
            return self._decide(connection, failure, note)

    def _decide(self, connection: Connection, failure: FailedJob, note: str) -> bool:
        decided = connection.execute(
            update(job)
            .where(job.c.id == failure.id, job.c.state == failure.state, *_undecided())
            .values(failure_report_due_at=None, failure_report_decided=True)
        )
        if decided.rowcount == 0:
            return False
        if note:
            line = HistoryLine(
                kind=EventKind.FAILURE_REPORT, source=failure.state, to=failure.state, message=note
            )
            add_history_line(connection, failure.id, self._database.clock(), line)
        return True


def _undecided() -> tuple[ColumnElement[bool], ...]:
    return (
        job.c.failure_report_due_at.is_not(None),
        job.c.state.in_(FAILED_FOR_GOOD),
        job.c.superseded_by.is_(None),
    )


def _failed(connection: Connection, row: Row[tuple[object, ...]]) -> FailedJob:
    return FailedJob(
        id=row.id,
        uid=row.uid,
        version=row.version,
        state=row.state,
        reason=row.reason,
        study_uid=row.study_uid,
        series_uid=row.series_uid,
        calling_aet=row.calling_aet,
        rule=row.rule,
        was_contoured=row.has_result,
        served=_served(connection, row.id),
        failed_at=row.failure_report_due_at,
        rule_set=row.rule_set,
    )


def _served(connection: Connection, job_id: int) -> frozenset[str]:
    """Return the destinations that have every object of the result."""
    states: dict[str, set[DeliveryState]] = {}
    query = select(delivery.c.destination, delivery.c.state).where(
        delivery.c.job_id == job_id, delivery.c.kind == DeliveryKind.RESULT
    )
    for destination, state in connection.execute(query):
        states.setdefault(destination, set()).add(state)
    has_it: Collection[DeliveryState] = {DeliveryState.SENT}
    return frozenset(name for name, found in states.items() if found == has_it)

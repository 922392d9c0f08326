from datetime import datetime

import pytest
from sqlalchemy import select, update

from service.config import JobPurpose
from service.store import EventKind, JobState
from service.store.jobs.transitions import Transition, lock, move, note_once
from service.store.states import TRANSITIONS
from service.store.tables.schema import job as job_table
from tests.support.arrivals import Node, received

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_every_state_has_its_line_in_the_table() -> None:
    assert set(TRANSITIONS) == set(JobState)
    reached = {JobState.RECEIVING}.union(*TRANSITIONS.values())
    assert reached == set(JobState)
    assert TRANSITIONS[JobState.SUPERSEDED] == TRANSITIONS[JobState.DONE] == frozenset()


@pytest.mark.parametrize("source", sorted(JobState))
def test_a_move_that_is_not_in_the_table_is_a_bug_and_changes_nothing(node: Node, source: JobState) -> None:
    job = node.job_in(source)
    before = node.book.job(job), node.book.events(job)
    for target in set(JobState) - TRANSITIONS[source]:
        step = Transition(to=target, kind=EventKind.RETRIED, sources=frozenset(JobState))
        with pytest.raises(AssertionError, match=f"no transition leads from {source} to {target}"):
            _move(node, job, step)
    assert (node.book.job(job), node.book.events(job)) == before


def test_a_move_from_another_state_than_the_expected_is_told_and_changes_nothing(node: Node) -> None:
    job = node.job_in(JobState.QUEUED)
    step = Transition(to=JobState.RUNNING, kind=EventKind.CLAIMED, sources={JobState.RETRYING})
    assert not _move(node, job, step)
    assert node.book.job(job).state is JobState.QUEUED


@ON_SQLITE
@pytest.mark.parametrize("state", sorted(set(JobState) - {JobState.SUPERSEDED}))
def test_a_report_is_due_of_what_failed_for_good_and_of_nothing_else(node: Node, state: JobState) -> None:
    job = node.job_in(state)
    is_failed = state in {JobState.FAILED, JobState.REFUSED}
    assert _report_due_at(node, job) == (node.clock.now if is_failed else None)


@ON_SQLITE
@pytest.mark.parametrize(
    "told",
    [{"purpose": JobPurpose.EVALUATION}, {"failure_report_decided": True}],
    ids=["not clinical", "told before"],
)
def test_no_report_is_due_of_a_job_that_is_not_clinical_or_was_told_of(
    node: Node, told: dict[str, object]
) -> None:
    job = node.job_in(JobState.WAITING)
    with node.database.writing() as connection:
        connection.execute(update(job_table).values(**told))
    refusal = Transition(to=JobState.REFUSED, kind=EventKind.REFUSED, sources={JobState.WAITING})
    assert _move(node, job, refusal)
    assert _report_due_at(node, job) is None


@ON_SQLITE
def test_a_note_stands_once_in_a_history_and_in_no_others(node: Node) -> None:
    node.receive(received(1), received(1, series="1.2.9"))
    first, second = (one.id for one in node.series.open_jobs())
    with node.database.writing() as connection:
        for job in (first, first, second, 4711):
            note_once(connection, job, "said", node.clock.now)
    for job in (first, second):
        assert [event.message for event in node.book.events(job)].count("said") == 1


def _report_due_at(node: Node, job: int) -> datetime | None:
    with node.database.reading() as connection:
        query = select(job_table.c.failure_report_due_at).where(job_table.c.id == job)
        return connection.execute(query).scalar_one()


def _move(node: Node, job: int, step: Transition) -> bool:
    with node.database.writing() as connection:
        row = lock(connection, job)
        assert row is not None
        return move(connection, row, step, node.clock.now)

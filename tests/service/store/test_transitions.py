import pytest

from service.store import EventKind, JobState
from service.store.jobs.transitions import Transition, lock, move
from service.store.states import TRANSITIONS
from tests.support.arrivals import Node


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


def _move(node: Node, job: int, step: Transition) -> bool:
    with node.database.writing() as connection:
        row = lock(connection, job)
        assert row is not None
        return move(connection, row, step, node.clock.now)

"""A cancelled series stays cancelled, whatever dribbles in, until all of it is sent again or a person says so."""

from service.store import EventKind, JobState
from tests.support.arrivals import Node, received


def states(node: Node) -> list[tuple[int, JobState, int]]:
    return [(job.version, job.state, job.slice_count) for job in reversed(node.book.list_jobs())]


def cancelled(node: Node) -> int:
    node.receive(received(1), received(2))
    job = node.only_open().id
    node.changes.cancel(job)
    return job


def test_late_slices_of_a_cancelled_series_are_kept_and_start_nothing(node: Node) -> None:
    job = cancelled(node)
    node.receive(received(3), received(4))
    assert states(node) == [(1, JobState.CANCELLED, 4)]
    assert len(node.book.instances_of(job)) == 4
    assert node.changes.retry(job) is JobState.RECEIVING
    assert node.only_open().slice_count == 4


def test_late_slices_of_one_cancelled_after_it_was_complete_make_no_new_work_either(node: Node) -> None:
    first = node.job_in(JobState.QUEUED)
    node.changes.cancel(first)
    node.receive(received(3))
    node.receive(received(4))
    assert states(node) == [(1, JobState.CANCELLED, 2), (2, JobState.CANCELLED, 4)]
    late = node.book.list_jobs()[0]
    assert "stays cancelled" in late.reason
    assert node.book.events(late.id)[0].kind is EventKind.OPENED
    assert node.changes.retry(late.id) is JobState.RECEIVING
    assert node.only_open().slice_count == 4


def test_the_whole_series_sent_again_opens_a_version(node: Node) -> None:
    cancelled(node)
    node.clock.tick(60)
    node.receive(received(2))
    assert states(node) == [(1, JobState.CANCELLED, 2)]
    node.receive(received(1))
    assert states(node) == [(1, JobState.CANCELLED, 2), (2, JobState.RECEIVING, 2)]
    opened = node.only_open()
    assert opened.last_received_at == node.clock.now
    message = node.book.events(opened.id)[0].message
    assert message == "the sender sent the whole series again after version 1 was cancelled"


def test_slices_that_came_late_belong_to_the_whole(node: Node) -> None:
    cancelled(node)
    node.receive(received(3))
    node.receive(received(1))
    assert states(node) == [(1, JobState.CANCELLED, 3)]
    node.receive(received(2), received(4))
    assert [row[:2] for row in states(node)] == [(1, JobState.CANCELLED), (2, JobState.RECEIVING)]
    assert node.only_open().slice_count == 4
    assert len(node.book.instances_of(node.only_open().id)) == 4


def test_a_second_cancel_counts_from_the_beginning(node: Node) -> None:
    cancelled(node)
    node.receive(received(1), received(2))
    node.changes.cancel(node.only_open().id)
    node.receive(received(1))
    assert [row[1] for row in states(node)] == [JobState.CANCELLED, JobState.CANCELLED]
    node.receive(received(2))
    assert [row[1] for row in states(node)] == [JobState.CANCELLED, JobState.CANCELLED, JobState.RECEIVING]


def test_the_cancel_of_one_requester_is_none_for_another(node: Node) -> None:
    cancelled(node)
    node.receive(received(1, called="OTHER"), received(2, called="OTHER"))
    assert node.only_open().called_aet == "OTHER"
    assert states(node)[0] == (1, JobState.CANCELLED, 2)

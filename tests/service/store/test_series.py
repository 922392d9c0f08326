import pytest

from service.store import EventKind, JobState, Sealed
from tests.support.arrivals import Node, received


def test_hold_says_what_the_series_waits_for_and_tells_it_once(node: Node) -> None:
    node.receive(received(1))
    job = node.only_open().id
    for _ in range(3):
        assert node.series.hold(job, "2 slices are missing between z = 3 and z = 9")
    assert (node.only_open().state, node.only_open().reason) == (
        JobState.WAITING,
        "2 slices are missing between z = 3 and z = 9",
    )
    assert node.series.hold(job, "1 slice is missing at z = 6")
    kinds = [event.kind for event in node.book.events(job)]
    assert kinds == [EventKind.OPENED, EventKind.HELD, EventKind.HELD]


def test_seal_queues_the_job_with_what_it_will_be_contoured_by(node: Node) -> None:
    node.receive(received(1), received(2))
    node.series.hold(node.only_open().id, "quiet")
    assert node.seal(priority=70) is Sealed.QUEUED
    (job,) = node.book.list_jobs()
    assert (job.state, job.rule, job.model, job.model_version, job.priority) == (
        JobState.QUEUED,
        "hn",
        "hn_oar",
        1,
        70,
    )
    assert job.reason == ""
    assert job.queued_at == node.clock.now


def test_a_slice_that_came_since_the_look_prevents_the_seal(node: Node) -> None:
    node.receive(received(1))
    seen = node.only_open()
    node.receive(received(2))
    assert node.seal(seen) is Sealed.CHANGED
    assert node.only_open().state is JobState.RECEIVED
    assert node.seal() is Sealed.QUEUED


def test_of_two_that_seal_the_same_job_one_is_told_that_it_changed(node: Node) -> None:
    node.receive(received(1))
    seen = node.only_open()
    assert node.seal(seen) is Sealed.QUEUED
    assert node.seal(seen) is Sealed.CHANGED


def test_the_same_images_from_the_same_sender_are_contoured_once(node: Node) -> None:
    first = node.job_in(JobState.DONE)
    node.receive(received(1, called="OTHER"), received(2, called="OTHER"))
    second = node.only_open()
    assert node.seal(second) is Sealed.ALREADY_CONTOURED
    status = node.book.job(second.id)
    assert (status.state, status.superseded_by) == (JobState.SUPERSEDED, first)
    assert status.reason == f"job {first} has the same images, rule and model"
    assert node.claim() is None


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.REFUSED])
def test_images_whose_job_came_to_nothing_may_be_contoured_again(node: Node, state: JobState) -> None:
    node.job_in(JobState.QUEUED)
    claim = node.claimed()
    if state is JobState.CANCELLED:
        node.book.cancel(claim.id)
    else:
        assert node.work.refuse(claim, reason="gantry tilt")
    node.receive(received(1, called="OTHER"), received(2, called="OTHER"))
    assert node.seal() is Sealed.QUEUED


@pytest.mark.parametrize("difference", ["rule", "model version", "sender"])
def test_another_rule_model_version_or_sender_is_another_job(node: Node, difference: str) -> None:
    node.job_in(JobState.DONE)
    calling = "PACS" if difference == "sender" else "SCANNER"
    node.receive(received(1, called="OTHER", calling=calling), received(2, called="OTHER", calling=calling))
    rule = "other" if difference == "rule" else "hn"
    assert node.seal(rule=rule, version=2 if difference == "model version" else 1) is Sealed.QUEUED


def test_refuse_ends_an_open_job_with_its_reason_and_nothing_else(node: Node) -> None:
    node.receive(received(1))
    job = node.only_open().id
    reason = "no rule matches called AE CONTOURNODE from calling AE SCANNER"
    assert node.series.refuse(job, reason)
    assert (node.book.job(job).state, node.book.job(job).reason) == (JobState.REFUSED, reason)
    assert not node.series.refuse(job, reason)
    assert not node.series.hold(job, reason)
    assert not node.series.refuse(4711, reason)

"""Priority, sending again, and orders that hold only while nothing has happened since."""

from typing import Any

import pytest

from service.application import retry_job, send_now_to
from service.errors import Refused
from service.store import ClaimedDelivery, JobChanged, JobState, NotAllowed
from tests.support.actors import OPERATOR
from tests.support.arrivals import Node
from tests.support.small_node import RULE, settings

OTHER = {
    "pacs": {"ae_title": "PACS", "host": "127.0.0.1", "port": 105},
    "eclipse": {"ae_title": "ECL", "host": "127.0.0.1", "port": 106, "profile": "eclipse"},
}
TREE = settings(peers=OTHER, rules=[{**RULE, "destinations": ["tps", "pacs", "eclipse"]}])
TO_BE_DONE = {"queued", "running", "retrying", "delivering", "failed"}


def claimed(node: Node) -> ClaimedDelivery | None:
    return node.outbox.claim_delivery("s1", lease_s=60)


def test_a_job_that_a_person_makes_urgent_runs_before_an_older_one(node: Node) -> None:
    older, newer = node.job_in(JobState.QUEUED), node.job_in(JobState.QUEUED, series="1.2.3.8")
    assert node.changes.prioritise(newer, 90) == 50
    assert node.claimed().id == newer
    assert node.claimed("w2").id == older
    assert "priority 90 in place of 50" in node.book.events(newer)[-2].message


@pytest.mark.parametrize(
    "state", [JobState.RUNNING, JobState.FAILED, JobState.WAITING, JobState.DONE, JobState.CANCELLED]
)
def test_priority_is_for_what_is_left_to_be_done(node: Node, state: JobState) -> None:
    job = node.job_in(state)
    if state in TO_BE_DONE:
        assert node.changes.prioritise(job, 1) == 50
        assert node.changes.prioritise(job, 50) == 1
    else:
        with pytest.raises(NotAllowed, match=rf"job {job} is {state} and cannot be given another priority"):
            node.changes.prioritise(job, 1)


@pytest.mark.parametrize("priority", [-1, 101])
def test_a_priority_outside_the_range_is_refused_with_the_range(node: Node, priority: int) -> None:
    job = node.job_in(JobState.QUEUED)
    with pytest.raises(Refused, match="allowed: 0 to 100"):
        node.changes.prioritise(job, priority)


def test_what_is_sent_again_goes_out_with_the_same_bytes_and_the_job_stays_done(node: Node) -> None:
    job = node.job_in(JobState.DONE)
    before = node.book.job(job)
    assert claimed(node) is None
    assert node.changes.resend(job, "tps", TREE).objects == 1
    with pytest.raises(NotAllowed, match="on its way to tps already"):
        node.changes.resend(job, "tps", TREE)
    again = claimed(node)
    assert again is not None
    assert (again.job_id, again.destination, again.attempt) == (job, "tps", 1)
    assert node.outbox.heartbeat(again, lease_s=60)
    assert node.outbox.sent(again)
    assert (node.book.job(job).state, node.book.job(job).delivered_at) == (JobState.DONE, before.delivered_at)
    assert [one.state.value for one in node.book.deliveries(job)] == ["sent"]


def test_what_waits_for_its_next_attempt_is_sent_now_and_nothing_else_is(node: Node) -> None:
    job = node.job_in(JobState.DELIVERING)
    first = claimed(node)
    assert first is not None
    assert send_now_to(node.database, OPERATOR, "tps", TREE) == 0  # it is being sent
    assert node.outbox.retry_later(first, reason="no answer", max_attempts=3, delay_s=900, unreachable=True)
    assert claimed(node) is None
    assert send_now_to(node.database, OPERATOR, "pacs", TREE) == 0
    assert send_now_to(node.database, OPERATOR, "tps", TREE) == 1
    again = claimed(node)
    assert again is not None
    assert (again.id, again.attempt) == (first.id, 2)
    assert "to be sent to tps now, by hand" in [one.message for one in node.book.events(job)]
    with pytest.raises(
        Refused, match="there is no destination x in the settings; there are: tps, pacs, eclipse"
    ):
        send_now_to(node.database, OPERATOR, "x", TREE)


def test_a_copy_that_is_refused_leaves_the_job_done_and_can_be_sent_once_more(node: Node) -> None:
    job = node.job_in(JobState.DONE)
    node.changes.resend(job, "tps", TREE)
    again = claimed(node)
    assert again is not None
    assert node.outbox.rejected(again, reason="0xA900")
    assert node.book.job(job).state is JobState.DONE
    assert node.changes.resend(job, "tps", TREE).objects == 1


def test_another_destination_that_takes_the_same_bytes_gets_them(node: Node) -> None:
    job = node.job_in(JobState.DONE)
    assert node.changes.resend(job, "pacs", TREE).objects == 1
    copy = claimed(node)
    assert copy is not None
    (second, first) = node.book.deliveries(job)
    assert (copy.destination, second.destination, second.artifact_id) == ("pacs", "pacs", first.artifact_id)


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ("eclipse", "nothing was made for job 1 that eclipse takes"),
        ("nowhere", "there is no destination nowhere"),
    ],
)
def test_a_destination_for_which_nothing_fits_is_refused(node: Node, destination: str, words: str) -> None:
    job = node.job_in(JobState.DONE)
    with pytest.raises(Refused, match=words):
        node.changes.resend(job, destination, TREE)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.FAILED, JobState.CANCELLED])
def test_only_what_was_made_can_be_sent_again(node: Node, state: JobState) -> None:
    job = node.job_in(state)
    with pytest.raises(NotAllowed, match=rf"job {job} is {state} and cannot be sent again"):
        node.changes.resend(job, "tps", TREE)


def test_a_cancelled_job_does_not_send_what_was_ordered_before(node: Node) -> None:
    job = node.job_in(JobState.DELIVERING)
    assert (first := claimed(node)) is not None
    assert node.outbox.sent(first, is_confirmed_later=True)
    node.changes.resend(job, "tps", TREE)
    node.changes.cancel(job)
    assert claimed(node) is None


def test_an_order_about_a_job_that_changed_since_is_refused(node: Node) -> None:
    job = node.job_in(JobState.FAILED)
    seen = node.book.events(job)[-1].id
    how: dict[str, Any] = {"seen": seen}
    assert retry_job(node.database, OPERATOR, job, **how) is JobState.QUEUED
    node.changes.cancel(job)
    with pytest.raises(JobChanged, match="it is cancelled now"):
        retry_job(node.database, OPERATOR, job, **how)
    with pytest.raises(JobChanged, match="gone"):
        retry_job(node.database, OPERATOR, 4711, seen=1)

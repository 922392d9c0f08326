import pytest

from service.store import ClaimedDelivery, DeliveryState, EventKind, JobState
from tests.support.arrivals import Node, received


def test_the_job_is_done_when_the_last_destination_has_it(node: Node) -> None:
    job = _delivering(node, "pacs", "tps")
    first = _claim(node)
    assert node.outbox.sent(first)
    assert node.book.job(job).state is JobState.DELIVERING
    now = node.clock.tick(3)
    second = _claim(node)
    assert {first.destination, second.destination} == {"pacs", "tps"}
    assert first.result == second.result == node.book.result(job)
    assert first.job_uid == node.book.job(job).uid
    assert node.outbox.sent(second)
    status = node.book.job(job)
    assert (status.state, status.delivered_at) == (JobState.DONE, now)
    assert status.destinations == "pacs: 1 sent; tps: 1 sent"
    assert node.outbox.claim_delivery("s1", lease_s=60) is None


def test_a_destination_that_is_down_is_tried_again_and_then_parked(node: Node) -> None:
    job = _delivering(node, "tps")
    for attempt in (1, 2, 3):
        claim = _claim(node)
        assert claim.attempt == attempt
        assert node.outbox.retry_later(claim, reason="connection refused", max_attempts=3, delay_s=30)
        assert node.outbox.claim_delivery("s1", lease_s=60) is None
        node.clock.tick(30)
    status = node.book.job(job)
    assert status.state is JobState.PARKED
    assert status.reason == "tps parked: connection refused"
    assert node.outbox.claim_delivery("s1", lease_s=60) is None


def test_a_refusal_for_good_parks_the_job_once_the_others_are_through(node: Node) -> None:
    job = _delivering(node, "pacs", "tps")
    refused = _claim(node)
    assert node.outbox.rejected(refused, reason="0x0122 SOP class not supported")
    assert node.book.job(job).state is JobState.DELIVERING
    assert node.outbox.sent(_claim(node))
    status = node.book.job(job)
    assert status.state is JobState.PARKED
    assert status.reason == f"{refused.destination} rejected: 0x0122 SOP class not supported"
    kinds = [event.kind for event in node.book.events(job)]
    assert kinds[-3:] == [EventKind.SEND_REJECTED, EventKind.SENT, EventKind.PARKED]


def test_a_retry_delivers_to_those_only_who_do_not_have_it(node: Node) -> None:
    job = _delivering(node, "pacs", "tps")
    refused = _claim(node)
    node.outbox.rejected(refused, reason="no")
    node.outbox.sent(_claim(node))
    assert node.book.retry(job) is JobState.DELIVERING
    again = _claim(node)
    assert (again.destination, again.attempt) == (refused.destination, 1)
    assert node.outbox.sent(again)
    assert node.book.job(job).state is JobState.DONE


def test_a_sender_that_went_away_loses_its_delivery(node: Node) -> None:
    _delivering(node, "tps")
    first = _claim(node)
    node.clock.tick(50)
    assert node.outbox.heartbeat(first, lease_s=60)
    node.clock.tick(50)
    assert node.outbox.claim_delivery("s2", lease_s=60) is None
    node.clock.tick(11)
    second = node.outbox.claim_delivery("s2", lease_s=60)
    assert second is not None
    assert second.attempt == 2
    assert not node.outbox.heartbeat(first, lease_s=60)
    assert not node.outbox.sent(first)
    assert not node.outbox.rejected(first, reason="no")
    assert not node.outbox.retry_later(first, reason="no", max_attempts=9, delay_s=1)
    assert node.outbox.sent(second)


def test_deliveries_of_urgent_jobs_go_first(node: Node) -> None:
    for series, priority in (("1.1", 10), ("1.2", 90)):
        node.receive(received(1, series=series))
        node.seal(priority=priority)
        node.finish(node.claimed())
    assert node.book.job(_claim(node).job_id).series_uid == "1.2"


@pytest.mark.parametrize("end", ["cancelled", "superseded"])
def test_what_is_being_sent_when_its_job_ends_is_told_as_it_was(node: Node, end: str) -> None:
    job = _delivering(node, "pacs", "tps")
    sending = _claim(node)
    if end == "cancelled":
        node.book.cancel(job)
    else:
        node.receive(received(3))
    assert node.outbox.claim_delivery("s1", lease_s=60) is None
    assert node.outbox.sent(sending)
    assert node.book.job(job).state == end
    states = {one.destination: one.state for one in node.book.deliveries(job)}
    assert states.pop(sending.destination) is DeliveryState.SENT
    assert list(states.values()) == [DeliveryState.WITHDRAWN]


def test_a_delivery_that_waits_in_a_sender_when_its_job_ends_is_not_begun(node: Node) -> None:
    job = _delivering(node, "tps")
    waiting = _claim(node)
    assert node.outbox.heartbeat(waiting, lease_s=60)
    node.receive(received(3))
    assert not node.outbox.heartbeat(waiting, lease_s=60)
    node.clock.tick(61)
    assert node.outbox.claim_delivery("s2", lease_s=60) is None
    assert node.book.deliveries(job)[0].state is DeliveryState.WITHDRAWN


def test_a_failed_delivery_of_an_ended_job_is_withdrawn(node: Node) -> None:
    job = _delivering(node, "tps")
    sending = _claim(node)
    node.book.cancel(job)
    assert node.outbox.retry_later(sending, reason="connection lost", max_attempts=9, delay_s=0)
    assert node.book.deliveries(job)[0].state is DeliveryState.WITHDRAWN


def _delivering(node: Node, *destinations: str) -> int:
    job = node.job_in(JobState.QUEUED)
    assert node.finish(node.claimed(), *destinations)
    return job


def _claim(node: Node) -> ClaimedDelivery:
    claim = node.outbox.claim_delivery("s1", lease_s=60)
    assert claim is not None
    return claim

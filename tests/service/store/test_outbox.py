import pytest

from service.store import (
    ClaimedDelivery,
    CommitmentReport,
    Commitments,
    DeliveryState,
    DeliveryStatus,
    EventKind,
    JobState,
)
from tests.support.arrivals import Node, received, stored_file, structure_set


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


def test_a_destination_that_is_down_is_tried_again_and_then_fails(node: Node) -> None:
    job = _delivering(node, "tps")
    for attempt in (1, 2, 3):
        claim = _claim(node)
        assert claim.attempt == attempt
        assert node.outbox.retry_later(claim, reason="connection refused", max_attempts=3, delay_s=30)
        assert node.outbox.claim_delivery("s1", lease_s=60) is None
        node.clock.tick(30)
    status = node.book.job(job)
    assert status.state is JobState.FAILED
    assert status.reason == "tps failed: connection refused"
    assert node.outbox.claim_delivery("s1", lease_s=60) is None


def test_a_refusal_for_good_fails_the_job_once_the_others_are_through(node: Node) -> None:
    job = _delivering(node, "pacs", "tps")
    refused = _claim(node)
    assert node.outbox.rejected(refused, reason="0x0122 SOP class not supported")
    assert node.book.job(job).state is JobState.DELIVERING
    assert node.outbox.sent(_claim(node))
    status = node.book.job(job)
    assert status.state is JobState.FAILED
    assert status.reason == f"{refused.destination} rejected: 0x0122 SOP class not supported"
    kinds = [event.kind for event in node.book.events(job)]
    assert kinds[-3:] == [EventKind.SEND_REJECTED, EventKind.SENT, EventKind.FAILED]


def test_a_retry_delivers_to_those_only_who_do_not_have_it(node: Node) -> None:
    job = _delivering(node, "pacs", "tps")
    refused = _claim(node)
    node.outbox.rejected(refused, reason="no")
    node.outbox.sent(_claim(node))
    assert node.changes.retry(job) is JobState.DELIVERING
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
        node.close_series(priority=priority)
        node.finish(node.claimed())
    assert node.book.job(_claim(node).job_id).series_uid == "1.2"


@pytest.mark.parametrize("end", ["cancelled", "superseded"])
def test_what_is_being_sent_when_its_job_ends_is_told_as_it_was(node: Node, end: str) -> None:
    job = _delivering(node, "pacs", "tps")
    sending = _claim(node)
    if end == "cancelled":
        node.changes.cancel(job)
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
    node.changes.cancel(job)
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


def test_a_fallback_stands_by_until_it_is_needed_and_then_told(node: Node) -> None:
    job = _with_fallbacks(node, ("pacs", ("tps",)), ("archive", ("pacs",)))
    assert node.outbox.rejected(_claim(node), reason="no")
    assert [one.state for one in _deliveries(node, job, "archive")] == [DeliveryState.STANDBY]
    claim = _claim(node)
    assert claim.destination == "pacs"
    assert node.outbox.sent(claim)
    status = node.book.job(job)
    assert (status.state, status.reason) == (JobState.DONE, "tps rejected: no; its fallback has it")
    assert [one.state for one in _deliveries(node, job, "archive")] == [DeliveryState.WITHDRAWN]
    assert EventKind.FALLBACK in [event.kind for event in node.book.events(job)]
    assert status.destinations == "pacs: 1 sent; tps: 1 rejected (no)"


def test_a_fallback_that_is_not_needed_is_not_sent(node: Node) -> None:
    job = _with_fallbacks(node, ("pacs", ("tps",)))
    assert node.outbox.sent(_claim(node))
    assert node.outbox.claim_delivery("s1", lease_s=60) is None
    assert (node.book.job(job).state, node.book.job(job).reason) == (JobState.DONE, "")
    assert node.book.job(job).destinations == "tps: 1 sent"


def test_when_the_whole_chain_fails_the_job_fails_and_a_retry_begins_at_its_head(node: Node) -> None:
    job = _with_fallbacks(node, ("pacs", ("tps",)))
    assert node.outbox.rejected(_claim(node), reason="no")
    claim = _claim(node)
    assert node.outbox.retry_later(claim, reason="no connection", max_attempts=1, delay_s=0)
    assert node.book.job(job).state is JobState.FAILED
    assert node.book.job(job).reason == "pacs failed: no connection; tps rejected: no"
    assert node.changes.retry(job) is JobState.DELIVERING
    assert _claim(node).destination == "tps"
    assert node.outbox.claim_delivery("s1", lease_s=60) is None


def test_one_fallback_of_two_destinations_gets_the_object_once(node: Node) -> None:
    job = node.job_in(JobState.QUEUED)
    file = stored_file("2.25.1")
    made = structure_set(file, "left", "right", pacs=("left", "right"))
    assert node.work.finish(node.claimed(), made=[made])
    while (claim := node.outbox.claim_delivery("s1", lease_s=60)) is not None:
        assert (
            node.outbox.sent(claim)
            if claim.destination == "pacs"
            else node.outbox.rejected(claim, reason="no")
        )
    assert node.book.job(job).state is JobState.DONE
    assert len(_deliveries(node, job, "pacs")) == 1


def test_a_destination_that_is_back_is_sent_everything_at_once_by_priority(node: Node) -> None:
    for series, priority in (("1.1", 10), ("1.2", 90), ("1.3", 50)):
        node.receive(received(1, series=series))
        node.close_series(priority=priority)
        node.finish(node.claimed())
    for delay_s in (900, 1800, 20):
        away = {"reason": "no connection", "max_attempts": 99, "delay_s": delay_s, "unreachable": True}
        assert node.outbox.retry_later(_claim(node), **away)
    node.clock.tick(30)
    first = _claim(node)  # of the least urgent job: its delay was the shortest
    assert node.book.job(first.job_id).priority == 10
    assert node.outbox.claim_delivery("s1", lease_s=60) is None
    assert node.outbox.sent(first)
    assert [_claim(node).priority, _claim(node).priority] == [90, 50]


def test_what_the_destination_refused_for_itself_is_not_woken(node: Node) -> None:
    for series in ("1.1", "1.2"):
        node.receive(received(1, series=series))
        node.close_series()
        node.finish(node.claimed())
    assert node.outbox.retry_later(_claim(node), reason="0xA700", max_attempts=9, delay_s=900)
    assert node.outbox.sent(_claim(node))
    assert node.outbox.claim_delivery("s1", lease_s=60) is None


def test_a_delivery_that_was_not_begun_is_given_back_without_an_attempt(node: Node) -> None:
    _delivering(node, "tps")
    assert node.outbox.give_back(_claim(node))
    assert _claim(node).attempt == 1


def test_a_job_waits_for_the_confirmation_and_a_report_hurries_it(node: Node) -> None:
    job = _delivering(node, "tps")
    reports = Commitments(node.database)
    assert node.outbox.sent(_claim(node), is_confirmed_later=True)
    asking = _claim(node)
    assert (asking.is_sent, asking.attempt, asking.confirmation_requests) == (True, 1, 1)
    assert node.outbox.report(asking) is None
    assert node.outbox.asking(asking, transaction_uid="2.25.7", sop_instance_uid="1.2.3")
    assert node.outbox.unconfirmed(asking, reason="not yet", max_asks=3, delay_s=600)
    assert node.book.job(job).destinations == "tps: 1 unconfirmed (not yet)"
    assert node.outbox.claim_delivery("s1", lease_s=60) is None
    assert not reports.record("2.25.8", kept=["1.2.3"], failed={})
    assert reports.record("2.25.7", kept=["1.2.3"], failed={})
    again = _claim(node)
    assert node.outbox.report(again) == CommitmentReport(failure_reason=None)
    assert node.outbox.confirmed(again, how="it commits itself")
    assert node.book.job(job).state is JobState.DONE
    assert node.book.deliveries(job)[0].confirmed_at == node.clock.now


def test_a_report_that_comes_while_it_is_asked_is_not_lost(node: Node) -> None:
    _delivering(node, "tps")
    assert node.outbox.sent(_claim(node), is_confirmed_later=True)
    asking = _claim(node)
    assert node.outbox.asking(asking, transaction_uid="2.25.7", sop_instance_uid="1.2.3")
    assert Commitments(node.database).record("2.25.7", kept=[], failed={"1.2.3": 0x0112})
    assert node.outbox.unconfirmed(asking, reason="not yet", max_asks=1, delay_s=600)
    again = _claim(node)
    assert node.outbox.report(again) == CommitmentReport(failure_reason=0x0112)
    assert node.outbox.retry_later(again, reason="lost", max_attempts=9, delay_s=0)
    sent_again = _claim(node)
    assert (sent_again.is_sent, sent_again.attempt) == (False, 2)
    assert node.outbox.sent(sent_again, is_confirmed_later=True)
    assert node.outbox.report(_claim(node)) is None


def test_a_destination_that_cannot_be_asked_loses_attempts_not_answers(node: Node) -> None:
    job = _delivering(node, "tps")
    assert node.outbox.sent(_claim(node), is_confirmed_later=True)
    assert node.outbox.not_asked(_claim(node), reason="no connection", max_attempts=3, delay_s=0)
    claim = _claim(node)
    assert (claim.attempt, claim.confirmation_requests) == (2, 1)
    assert node.outbox.not_asked(claim, reason="no connection", max_attempts=3, delay_s=0)
    assert node.book.job(job).state is JobState.FAILED


def test_what_was_taken_and_not_confirmed_when_its_job_ends_is_told_as_sent(node: Node) -> None:
    job = _delivering(node, "tps")
    assert node.outbox.sent(_claim(node), is_confirmed_later=True)
    node.changes.cancel(job)
    (one,) = node.book.deliveries(job)
    assert (one.state, one.reason) == (DeliveryState.SENT, "not confirmed: cancelled by hand")


def test_each_note_is_a_line_of_the_history_of_its_own(node: Node) -> None:
    job = node.job_in(JobState.QUEUED)
    made = structure_set(stored_file("2.25.1"), "tps")
    assert node.work.finish(node.claimed(), made=[made], notes=["a: not found", "b: cut", "a: not found"])
    lines = [(event.kind, event.message) for event in node.book.events(job)][-3:]
    assert lines == [
        (EventKind.FINISHED, "for tps"),
        (EventKind.NOTE, "a: not found"),
        (EventKind.NOTE, "b: cut"),
    ]


def _with_fallbacks(node: Node, *fallbacks: tuple[str, tuple[str, ...]]) -> int:
    job = node.job_in(JobState.QUEUED)
    file = stored_file("2.25.1")
    assert node.work.finish(node.claimed(), made=[structure_set(file, "tps", **dict(fallbacks))])
    return job


def _deliveries(node: Node, job: int, destination: str) -> list[DeliveryStatus]:
    return [one for one in node.book.deliveries(job) if one.destination == destination]


def test_an_object_that_the_report_names_nowhere_counts_as_a_processing_failure(node: Node) -> None:
    _delivering(node, "tps")
    assert node.outbox.sent(_claim(node), is_confirmed_later=True)
    asking = _claim(node)
    assert node.outbox.asking(asking, transaction_uid="2.25.7", sop_instance_uid="1.2.3")
    assert Commitments(node.database).record("2.25.7", kept=["1.2.4"], failed={"1.2.5": 0x0112})
    assert node.outbox.unconfirmed(asking, reason="not yet", max_asks=1, delay_s=600)
    assert node.outbox.report(_claim(node)) == CommitmentReport(failure_reason=0x0110)


def test_a_promise_counts_though_a_refusal_seems_to_have_come_later(node: Node) -> None:
    _delivering(node, "tps")
    reports = Commitments(node.database)
    assert node.outbox.sent(_claim(node), is_confirmed_later=True)
    asking = _claim(node)
    for number in (7, 8):
        assert node.outbox.asking(asking, transaction_uid=f"2.25.{number}", sop_instance_uid="1.2.3")
    assert reports.record("2.25.7", kept=[], failed={"1.2.3": 0x0112})
    node.clock.step(-3600)
    assert reports.record("2.25.8", kept=["1.2.3"], failed={})
    assert node.outbox.report(asking) == CommitmentReport(failure_reason=None)

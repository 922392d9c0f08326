"""Who may come, and how much: from two loopback addresses, for one address is not a network."""

import logging
import socket

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC

from service.receive.limits import AssociationLimit, RateLimit
from service.receive.rejection_log import LogThrottle
from service.store import AuditKind, AuditOutcome
from tests.service.receive.client import VERIFICATION, RawPeer, request_pdu
from tests.service.receive.raw_requests import association, context
from tests.service.receive.samples import CT, EXPLICIT, SERIES, ct_slice, encoded
from tests.support.office import eventually

network = pytest.mark.network
SCANNER = {"ae_title": "SCANNER", "networks": ["127.0.0.1"]}
PACS = {"ae_title": "PACS", "networks": ["127.0.0.0/30", "10.0.0.0/8"]}


class PeerFrom(RawPeer):
    """A peer whose address is chosen."""

    def __init__(self, port: int, address: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0))


def answer(port, address, calling="SCANNER", called="NODE"):
    """Gives the type of the first PDU, and result, source and reason of a rejection; type 0: closed without a word."""
    with PeerFrom(port, address) as peer:
        try:
            peer.socket.sendall(request_pdu((VERIFICATION, [EXPLICIT]), calling=calling, called=called))
            kind, pdu = peer.pdu()
        except OSError:  # closed before the request was out, or with the request unread
            return (0,)
    return (kind, *pdu[7:10]) if kind == 3 else (kind,)


@network
@pytest.mark.parametrize(
    ("address", "calling", "expected"),
    [
        ("127.0.0.1", "SCANNER", (2,)),
        ("127.0.0.2", "SCANNER", (3, 1, 1, 3)),  # a known address, but not the scanner's
        ("127.0.0.2", "PACS", (2,)),
        ("127.0.0.1", "PACS", (2,)),
        ("127.0.0.9", "PACS", (0,)),  # nobody's address: nothing is read
        ("127.0.0.9", "SCANNER", (0,)),
        ("127.0.0.1", "STRANGER", (3, 1, 1, 3)),
    ],
)
def test_title_and_address_must_belong_together(start_node, address, calling, expected):
    node = start_node(senders=[SCANNER, PACS])
    assert answer(node.port, address, calling) == expected


@network
def test_a_refused_sender_is_told_in_the_log_and_in_the_trail(start_node, caplog):
    node = start_node(senders=[SCANNER, PACS])
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            answer(node.port, "127.0.0.2", "SCANNER")
            answer(node.port, "127.0.0.9", "SCANNER")
    events = node.audited()
    assert [(event.kind, event.outcome, event.address) for event in events] == [
        (AuditKind.REFUSED, AuditOutcome.MINOR_FAILURE, "127.0.0.2"),
        (AuditKind.REFUSED, AuditOutcome.MINOR_FAILURE, "127.0.0.9"),
    ]
    assert [(event.actor, event.target, event.detail) for event in events] == [
        ("SCANNER", "NODE", "association rejected: CALLING_AE_TITLE_NOT_RECOGNIZED"),
        ("", "", "connection closed: no sender has this address"),
    ]
    assert len(caplog.records) == 2, "twenty times the same is one line"


@network
def test_one_address_cannot_take_every_place(start_node):
    node = start_node(max_associations=4)
    with PeerFrom(node.port, "127.0.0.1") as first, PeerFrom(node.port, "127.0.0.1") as second:
        first.associate()
        second.associate()
        assert answer(node.port, "127.0.0.1") == (3, 2, 3, 2)  # transient, local limit exceeded
        assert answer(node.port, "127.0.0.2") == (2,)


@network
def test_associations_beyond_the_limit_are_rejected_for_now_and_let_in_later(start_node):
    node = start_node(max_associations=2)
    with PeerFrom(node.port, "127.0.0.1") as first, PeerFrom(node.port, "127.0.0.2") as second:
        first.associate()
        second.associate()
        assert answer(node.port, "127.0.0.3") == (3, 2, 3, 2)  # transient, local limit exceeded
        first.release()
    eventually(lambda: answer(node.port, "127.0.0.3") == (2,))


@network
def test_an_address_that_connects_too_often_is_told_to_come_later_and_others_are_not(start_node):
    node = start_node(max_connections_per_minute=5)
    assert [answer(node.port, "127.0.0.1") for _ in range(5)] == [(2,)] * 5
    assert answer(node.port, "127.0.0.1") == (3, 2, 3, 1)  # transient, temporary congestion
    assert answer(node.port, "127.0.0.2") == (2,)
    (event,) = node.audited()
    assert event.detail == "association rejected: TEMPORARY_CONGESTION"


@network
def test_of_more_presentation_contexts_than_can_be_numbered_each_number_is_answered_once(start_node):
    node = start_node()
    contexts = [context(number % 256, CT.encode(), EXPLICIT.encode()) for number in range(1900)]
    with RawPeer(node.port) as peer:  # as many as a request may be long
        peer.socket.sendall(association(contexts=contexts))
        kind, pdu = peer.pdu()
    answer = A_ASSOCIATE_AC()
    answer.decode(pdu)
    assert kind == 2
    assert [one.presentation_context_id for one in answer.variable_items[1:-1]] == list(range(256))


@network
def test_the_trail_has_one_event_for_each_study_of_an_association_and_one_for_what_was_not_kept(start_node):
    node = start_node()
    with RawPeer(node.port) as peer:
        peer.associate()
        for number in (1, 2, 3):
            ds = ct_slice(number)
            ds.StudyInstanceUID = "1.2.3.10" if number < 3 else "1.2.3.11"
            assert peer.store(encoded(ds, EXPLICIT), sop_instance_uid=f"{SERIES}.{number}").Status == 0
        assert peer.store(b"", sop_instance_uid=f"{SERIES}.4").Status == 0xC000
        peer.release()
    events = node.audited()
    assert [(e.study_uid, e.instance_count, e.sop_classes, e.outcome) for e in events] == [
        ("1.2.3.10", 2, f"{CT}=2", AuditOutcome.SUCCESS),
        ("1.2.3.11", 1, f"{CT}=1", AuditOutcome.SUCCESS),
        ("", 1, "", AuditOutcome.MINOR_FAILURE),
    ]
    assert {(e.kind, e.actor, e.target, e.address, e.role) for e in events} == {
        (AuditKind.RECEIVED, "SCANNER", "NODE", "127.0.0.1", "receive")
    }
    assert events[2].detail == "answered 0xC000: SOP Class UID (0008,0016) is missing"
    assert not any(e.patient_id for e in events)


@network
def test_a_sender_that_leaves_without_release_is_in_the_trail_too(start_node):
    node = start_node()
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(encoded(ct_slice(), EXPLICIT), sop_instance_uid=f"{SERIES}.1").Status == 0
    (event,) = node.audited()
    assert (event.kind, event.instance_count) == (AuditKind.RECEIVED, 1)


def test_places_are_counted_for_each_address_and_in_all():
    places = AssociationLimit(3, 2)
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]
    assert [places.take("b"), places.take("b")] == [True, False]
    places.give_back("a")
    assert [places.take("b"), places.take("a")] == [True, False]


def test_strangers_cannot_hold_the_places_of_known_addresses():
    places = AssociationLimit(8, 6, ["10.1.0.0/16", "192.168.1.7"])
    assert [places.take("203.0.113.1") for _ in range(6)] == [True] * 6
    assert not places.take("203.0.113.2"), "a quarter is kept"
    assert places.take("10.1.2.3")
    assert places.take("::ffff:192.168.1.7")
    assert not places.take("10.1.2.3"), "all are taken"
    places.give_back("203.0.113.1")
    assert places.take("203.0.113.2")
    places.give_back("10.1.2.3")
    assert not places.take("203.0.113.2")
    assert places.take("10.1.2.3")


def test_a_bucket_holds_a_minutes_worth_and_fills_with_time():
    now = 0.0
    rate = RateLimit(60, clock=lambda: now)
    assert [rate.allows("a") for _ in range(61)] == [True] * 60 + [False]
    assert rate.allows("b")
    now = 2.0
    assert [rate.allows("a") for _ in range(3)] == [True, True, False]
    now = 3600.0
    assert sum(rate.allows("a") for _ in range(200)) == 60


def test_what_repeats_is_told_once_and_then_with_its_number():
    now = 0.0
    repeats = LogThrottle(60, clock=lambda: now)
    assert [repeats.due("x"), repeats.due("x"), repeats.due("y"), repeats.due("x")] == [1, None, 1, None]
    now = 60.0
    assert [repeats.due("x"), repeats.due("x")] == [3, None]

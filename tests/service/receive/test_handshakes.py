import threading

import pytest

from service.dimse import negotiation_cache as handshakes
from service.dimse import sop_classes
from service.dimse.association_request import MalformedRequest
from service.dimse.negotiation import NegotiationResult, negotiate
from service.dimse.negotiation_cache import NegotiationCache
from tests.service.receive.client import request_pdu
from tests.service.receive.samples import COMPRESSED, CT, EXPLICIT, IMPLICIT

SUPPORTED = sop_classes.supported()


@pytest.fixture
def worked_out(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The requests that were decoded, in order."""
    seen: list[bytes] = []

    def counted(pdu: bytes, *args: object, **more: object) -> NegotiationResult:
        seen.append(pdu)
        return negotiate(pdu, *args, **more)

    monkeypatch.setattr(handshakes, "negotiate", counted)
    return seen


def request(number: int) -> bytes:
    return request_pdu((CT, [EXPLICIT]), calling=f"SCANNER {number}")


def test_the_same_request_is_worked_out_once_and_answered_alike(worked_out):
    known = NegotiationCache(SUPPORTED, maximum_pdu_bytes=65536)
    answers = [known.answer_to(request(1)) for _ in range(3)]
    assert answers == [negotiate(request(1), SUPPORTED, maximum_pdu_bytes=65536)] * 3
    assert worked_out == [request(1)]


def test_another_request_gets_its_own_answer(worked_out):
    known = NegotiationCache(SUPPORTED, maximum_pdu_bytes=65536)
    explicit, implicit = (known.answer_to(request_pdu((CT, [syntax]))) for syntax in (EXPLICIT, IMPLICIT))
    assert explicit.contexts[1].transfer_syntax_uid == EXPLICIT
    assert implicit.contexts[1].transfer_syntax_uid == IMPLICIT
    assert len(worked_out) == 2


def test_many_at_once_wait_for_the_first(worked_out):
    known = NegotiationCache(SUPPORTED, maximum_pdu_bytes=65536)
    askers = [threading.Thread(target=known.answer_to, args=(request(1),)) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(worked_out) == 1


def test_who_asks_something_else_does_not_wait_for_what_takes_long(monkeypatch):
    slow, release, entered = request(1), threading.Event(), threading.Event()

    def held(pdu: bytes, *args: object, **more: object) -> NegotiationResult:
        if pdu == slow:
            entered.set()
            assert release.wait(60)
        return negotiate(pdu, *args, **more)

    monkeypatch.setattr(handshakes, "negotiate", held)
    known = NegotiationCache(SUPPORTED, maximum_pdu_bytes=65536)
    answers: list[NegotiationResult] = []
    asker = threading.Thread(target=lambda: answers.append(known.answer_to(slow)))
    asker.start()
    assert entered.wait(60)
    other = threading.Thread(target=lambda: answers.append(known.answer_to(request(2))))
    other.start()
    other.join(30)
    assert len(answers) == 1
    release.set()
    asker.join()
    assert len(answers) == 2


def test_the_longest_unused_is_forgotten(worked_out):
    known = NegotiationCache(SUPPORTED, maximum_pdu_bytes=65536)
    for number in range(handshakes.REMEMBERED):
        known.answer_to(request(number))
    known.answer_to(request(0))
    known.answer_to(request(1000))
    worked_out.clear()
    known.answer_to(request(0))
    assert worked_out == []
    known.answer_to(request(1))
    assert worked_out == [request(1)]


def test_a_request_that_is_overlong_or_malformed_is_not_remembered(worked_out):
    known = NegotiationCache(SUPPORTED, maximum_pdu_bytes=65536)
    overlong = request_pdu(*[(CT, [EXPLICIT, IMPLICIT, *COMPRESSED])] * 126)
    assert len(overlong) > handshakes.LONGEST_REMEMBERED_BYTES
    for _ in range(2):
        known.answer_to(overlong)
        with pytest.raises(MalformedRequest):
            known.answer_to(request(1)[:80])
    assert worked_out == [overlong, request(1)[:80]] * 2

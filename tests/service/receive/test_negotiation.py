import random

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ

from service.config import Sender
from service.dimse import sop_classes
from service.dimse.association_request import (
    APPLICATION_CONTEXT,
    AssociationRequest,
    MalformedRequest,
    read_association_request,
)
from service.dimse.negotiation import Rejection, encode_reject, negotiate
from service.receive.admission import Admission, PeerIdentity
from tests.service.receive.client import request_pdu
from tests.service.receive.samples import BIG, COMPRESSED, CT, EXPLICIT, IMPLICIT

HERE = PeerIdentity(host="127.0.0.1")
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def test_who_asks_for_whom_is_read():
    request = request_pdu((CT, [EXPLICIT]), calling="SCANNER 1", called="NODE")
    assert read_association_request(request) == AssociationRequest(
        calling_aet="SCANNER 1",
        called_aet="NODE",
        application_context=APPLICATION_CONTEXT,
        protocol_version=1,
    )


@pytest.mark.parametrize(
    ("proposed", "taken"),
    [
        ([IMPLICIT, EXPLICIT], IMPLICIT),
        ([EXPLICIT, IMPLICIT], EXPLICIT),
        ([BIG, IMPLICIT], IMPLICIT),
        ([BIG], BIG),
        ([COMPRESSED[3], EXPLICIT], COMPRESSED[3]),
        (["1.2.840.10008.1.2.4.100", IMPLICIT], IMPLICIT),
    ],
)
def test_the_senders_first_transfer_syntax_is_taken_and_big_endian_last(proposed, taken):
    agreement = negotiate(request_pdu((CT, proposed)), sop_classes.supported(), maximum_pdu_bytes=0)
    assert agreement.contexts[1].transfer_syntax_uid == taken


def test_each_refused_context_is_told_why():
    contexts = ((CT, [EXPLICIT]), (SECONDARY_CAPTURE, [EXPLICIT]), (CT, ["1.2.840.10008.1.2.4.100"]))
    agreement = negotiate(request_pdu(*contexts), sop_classes.supported(), maximum_pdu_bytes=65536)
    assert list(agreement.contexts) == [1]
    answer = A_ASSOCIATE_AC()
    answer.decode(agreement.accept)
    primitive = answer.to_primitive()
    # PS3.8 Table 9-18: 0 acceptance, 3 abstract syntax, 4 transfer syntaxes not supported
    assert [cx.result for cx in primitive.presentation_context_definition_results_list] == [0, 3, 4]
    assert primitive.maximum_length_received == 65536


@pytest.mark.parametrize("rejection", list(Rejection))
def test_another_implementation_understands_a_rejection(rejection):
    pdu = A_ASSOCIATE_RJ()
    pdu.decode(encode_reject(rejection))
    assert (pdu.result, pdu.source, pdu.reason_diagnostic) == rejection.value


def applicant(**changes) -> AssociationRequest:
    values = {
        "calling_aet": "SCANNER",
        "called_aet": "NODE",
        "application_context": APPLICATION_CONTEXT,
        "protocol_version": 1,
    }
    return AssociationRequest(**values | changes)


@pytest.mark.parametrize(
    ("changes", "rejection"),
    [
        ({}, None),
        ({"called_aet": "BRAIN"}, None),
        ({"protocol_version": 3}, None),
        ({"calling_aet": "scanner"}, Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED),
        ({"called_aet": "OTHER"}, Rejection.CALLED_AE_TITLE_NOT_RECOGNIZED),
        ({"application_context": "1.2"}, Rejection.APPLICATION_CONTEXT_NOT_SUPPORTED),
        ({"protocol_version": 2}, Rejection.PROTOCOL_VERSION_NOT_SUPPORTED),
    ],
)
def test_only_known_titles_are_let_in(changes, rejection):
    admission = Admission(
        called_aets=frozenset({"NODE", "BRAIN"}),
        senders=(Sender(ae_title="SCANNER"), Sender(ae_title="PACS")),
    )
    assert admission.refusal(applicant(**changes), HERE) is rejection


def test_without_a_list_any_sender_may_come():
    admission = Admission(called_aets=frozenset({"NODE"}), senders=())
    assert admission.refusal(applicant(calling_aet="ANYBODY"), HERE) is None
    assert admission.knows_address("192.0.2.1")


@pytest.mark.filterwarnings("ignore:.*nvalid value for VR UI")  # what pydicom says of a mutated UID
def test_mutated_requests_are_refused_or_answered_and_raise_nothing_else():
    rng = random.Random(8)
    valid = request_pdu((CT, [EXPLICIT, IMPLICIT]), (CT, list(COMPRESSED)), (SECONDARY_CAPTURE, [EXPLICIT]))
    answered = 0
    for _ in range(4000):
        data = bytearray(valid)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(6, len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            data = data[: rng.randrange(6, len(data))]
        try:
            read_association_request(bytes(data))
            negotiate(bytes(data), sop_classes.supported(), maximum_pdu_bytes=65536)
        except MalformedRequest:
            continue
        answered += 1
    assert 0 < answered < 4000

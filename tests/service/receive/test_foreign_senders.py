"""What senders of other makes do that DCMTK does not.

Each of these was seen on the wire, or is the standard's right.
"""

import struct

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from tests.service.receive.client import VERIFICATION, RawPeer, echo_command, pdvs, request_pdu, store_command
from tests.service.receive.samples import CT, EXPLICIT, IMPLICIT, SERIES, ct_slice, encoded

pytestmark = pytest.mark.network

ALONE = [MaximumLengthNotification, ImplementationClassUIDNotification, ImplementationVersionNameNotification]
"""What an acceptance says of the node where nothing else was agreed."""


def window(invoked: int, performed: int) -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = invoked
    item.maximum_number_operations_performed = performed
    return item


def roles(*, scu: bool, scp: bool) -> SCP_SCU_RoleSelectionNegotiation:
    item = SCP_SCU_RoleSelectionNegotiation()
    item.sop_class_uid, item.scu_role, item.scp_role = CT, scu, scp
    return item


def extended() -> SOPClassExtendedNegotiation:
    """Level 2 of storage support, as dcm4che's and Philips' senders ask for it (PS3.4 B.3.1)."""
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = CT, bytes([2, 0, 0, 0, 0, 0])
    return item


def related() -> SOPClassCommonExtendedNegotiation:
    """A private class that says that it is a kind of CT (PS3.7 D.3.3.6)."""
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid, item.service_class_uid = "1.2.3.4.5", "1.2.840.10008.4.2"
    item.related_general_sop_class_identification = [CT]
    return item


def identity() -> UserIdentityNegotiation:
    """A name and a passcode, whose receipt is to be confirmed (PS3.7 D.3.3.7)."""
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.secondary_field = 2, b"scanner", b"secret"
    item.positive_response_requested = True
    return item


@pytest.mark.parametrize(
    "items",
    [
        [window(0, 0)],
        [window(8, 1)],
        [roles(scu=True, scp=False)],
        [roles(scu=True, scp=True)],
        [extended()],
        [related()],
        [identity()],
        [window(0, 0), roles(scu=True, scp=True), extended(), related(), identity()],
    ],
    ids=["window unlimited", "window", "scu", "both roles", "extended", "related", "identity", "all"],
)
def test_what_is_offered_beyond_storage_is_left_out_of_the_acceptance_and_images_are_taken(node, items):
    with RawPeer(node.port) as peer:
        peer.socket.sendall(request_pdu((CT, [EXPLICIT]), (VERIFICATION, [IMPLICIT]), items=items))
        kind, pdu = peer.pdu()
        assert kind == 2
        accepted = A_ASSOCIATE_AC()
        accepted.decode(pdu)
        assert [type(item) for item in accepted.to_primitive().user_information] == ALONE
        assert peer.store(encoded(ct_slice(), EXPLICIT), sop_instance_uid=f"{SERIES}.1").Status == 0
        peer.release()
    assert len(node.files()) == 1


@pytest.mark.parametrize("maximum_pdu_bytes", [0, 4096, 0xFFFFFFFF])
def test_any_length_of_pdus_that_a_sender_takes_is_right(node, maximum_pdu_bytes):
    with RawPeer(node.port) as peer:
        peer.socket.sendall(request_pdu((CT, [EXPLICIT]), maximum_pdu_bytes=maximum_pdu_bytes))
        assert peer.pdu()[0] == 2
        assert peer.store(encoded(ct_slice(), EXPLICIT), sop_instance_uid=f"{SERIES}.1").Status == 0
        peer.release()


def test_requests_that_do_not_wait_for_answers_are_answered_in_their_order(node):
    """A sender may not, for no window was agreed; one that does it all the same loses nothing."""
    with RawPeer(node.port) as peer:
        peer.associate()
        sent = b""
        for number in range(1, 41):
            command = numbered(store_command(CT, f"{SERIES}.{number}"), number)
            sent += pdvs(1, command, is_command=True)
            sent += pdvs(1, encoded(ct_slice(number), EXPLICIT), is_command=False, size=300)
            if number % 10 == 0:
                sent += pdvs(3, numbered(echo_command(), 1000 + number), is_command=True)
        peer.socket.sendall(sent + struct.pack(">BBLL", 5, 0, 4, 0))
        answers = [peer.response() for _ in range(44)]
        assert peer.pdu()[0] == 6
    assert [answer.Status for answer in answers] == [0] * 44
    expected = [n for number in range(1, 41) for n in ([number] if number % 10 else [number, 1000 + number])]
    assert [answer.MessageIDBeingRespondedTo for answer in answers] == expected
    assert len(node.files()) == 40


def numbered(command: bytes, message_id: int) -> bytes:
    """The command with another Message ID (0000,0110)."""
    head = struct.pack("<HHL", 0, 0x0110, 2)
    at = command.index(head) + len(head)
    return command[:at] + struct.pack("<H", message_id) + command[at + 2 :]


@pytest.mark.parametrize("size", [1, 2, 7, 999])
@pytest.mark.parametrize("together", [1, 3, 10**6])
def test_fragments_of_any_size_in_pdus_of_any_number_are_one_image(node, size, together):
    """Also the command and its dataset in one PDU, a command in pieces, and empty last fragments (CTN, odil)."""
    data = encoded(ct_slice(), EXPLICIT)
    values = [*fragments(store_command(CT, f"{SERIES}.1"), 1, size), *fragments(data, 0, size)]
    with RawPeer(node.port) as peer:
        peer.associate()
        for start in range(0, len(values), together):
            part = b"".join(values[start : start + together])
            peer.socket.sendall(struct.pack(">BBL", 4, 0, len(part)) + part)
        assert peer.response().Status == 0
        peer.release()
    (path,) = node.files()
    assert path.read_bytes().endswith(data)


def fragments(data: bytes, control: int, size: int) -> list[bytes]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    values = [struct.pack(">LBB", len(piece) + 2, 1, control) + piece for piece in pieces]
    return [*values, struct.pack(">LBB", 2, 1, control | 2)]


def test_each_class_in_a_context_for_each_transfer_syntax_as_dcm4che_asks_is_taken_by_the_one_it_uses(node):
    syntaxes = ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80", IMPLICIT, EXPLICIT]
    with RawPeer(node.port) as peer:
        answer = peer.associate(*[(CT, [syntax]) for syntax in syntaxes], ("1.2.3.4.5", [EXPLICIT]))
        results = answer.presentation_context_definition_results_list
        assert [result.result for result in results] == [0, 0, 0, 0, 3]
        assert [result.transfer_syntax[0] for result in results[:4]] == syntaxes
        for number, syntax in enumerate(syntaxes):
            data = encoded(ct_slice(number + 1), syntax)
            uid = f"{SERIES}.{number + 1}"
            assert peer.store(data, sop_instance_uid=uid, context_id=2 * number + 1).Status == 0
        peer.release()
    assert [job.slice_count for job in node.job_rows()] == [4]

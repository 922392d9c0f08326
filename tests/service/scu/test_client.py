import socket
import threading
import time

import pytest
from pydicom import Dataset
from pynetdicom import AE

from service.config import Peer
from service.scu.client import Scu
from service.scu.outcome import PermanentRefusal, Sent, TransientFailure
from tests.support.destinations import (
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Behaviour,
    data_set_of,
    structure_set,
)

pytestmark = pytest.mark.network

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.fixture
def scu():
    return Scu(calling_aet="NODE", timeout_s=10)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.1.99"])
def test_the_bytes_of_the_file_go_out_as_they_are(scu, start_destination, tmp_path, syntax):
    destination = start_destination(
        Behaviour(transfer_syntaxes=(IMPLICIT, EXPLICIT, "1.2.840.10008.1.2.1.99"))
    )
    path = tmp_path / "rs.dcm"
    path.write_bytes(structure_set(transfer_syntax_uid=syntax))
    assert scu.store(path, destination.peer) == Sent()
    assert destination.got == [("NODE", syntax, data_set_of(path.read_bytes()))]


@pytest.mark.parametrize(("own", "taken"), [(EXPLICIT, IMPLICIT), (IMPLICIT, EXPLICIT)])
def test_a_destination_that_refuses_the_syntax_gets_the_same_values_in_its_own(
    scu, start_destination, tmp_path, own, taken
):
    destination = start_destination(Behaviour(transfer_syntaxes=(taken,)))
    path = tmp_path / "rs.dcm"
    path.write_bytes(structure_set(transfer_syntax_uid=own))
    assert scu.store(path, destination.peer) == Sent()
    ((_, syntax, data),) = destination.got
    assert syntax == taken
    assert data == data_set_of(structure_set(transfer_syntax_uid=taken))


def test_compressed_objects_are_not_converted(scu, start_destination, tmp_path):
    destination = start_destination()
    path = tmp_path / "rs.dcm"
    path.write_bytes(
        structure_set().replace(b"UI\x14\x001.2.840.10008.1.2.1\0", b"UI\x16\x00" + JPEG_LS.encode())
    )
    outcome = scu.store(path, destination.peer)
    assert isinstance(outcome, PermanentRefusal)
    assert "transfer syntaxes not supported" in outcome.reason


def refused(comment):
    answer = Dataset()
    answer.Status = 0xA700
    answer.ErrorComment = comment
    return answer


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (Behaviour(status=lambda _: 0xB000), Sent, "coercion"),
        (Behaviour(status=lambda _: 0x0111), Sent, "had it already"),
        (Behaviour(status=lambda _: refused("disk full")), TransientFailure, "out of resources: disk full"),
        (Behaviour(status=lambda _: 0xA900), PermanentRefusal, "does not match"),
        (Behaviour(status=lambda _: 0xC123), PermanentRefusal, "cannot understand"),
        (Behaviour(status=lambda event: event.assoc.abort() or 0), TransientFailure, "no answer"),
        (Behaviour(calling_aets=("OTHER",)), PermanentRefusal, "does not know the calling AE title"),
        (Behaviour(sop_class=CT), PermanentRefusal, "SOP class not supported"),
        (Behaviour(transfer_syntaxes=(JPEG_LS,)), PermanentRefusal, "transfer syntaxes not supported"),
    ],
)
def test_what_a_destination_does_decides_the_next_step(scu, start_destination, file, behaviour, kind, words):
    outcome = scu.store(file, start_destination(behaviour).peer)
    assert isinstance(outcome, kind)
    assert words in (outcome.note if isinstance(outcome, Sent) else outcome.reason)


def test_a_wrong_called_title_is_refused_for_good(scu, start_destination, file):
    destination = start_destination(Behaviour(checks_called_aet=True))
    wrong = destination.peer.model_copy(update={"ae_title": "PTS"})
    outcome = scu.store(file, wrong)
    assert isinstance(outcome, PermanentRefusal)
    assert "does not answer to the called AE title" in outcome.reason
    assert "PTS at 127.0.0.1:" in outcome.reason


def test_a_destination_with_no_association_left_is_tried_again(scu, start_destination, file):
    destination = start_destination(Behaviour(maximum_associations=1))
    other = AE("OTHER")
    other.add_requested_context(VERIFICATION)
    held = other.associate("127.0.0.1", destination.peer.port)
    assert held.is_established
    outcome = scu.store(file, destination.peer)
    held.release()
    assert isinstance(outcome, TransientFailure)
    assert "no association left" in outcome.reason


def test_nobody_listening_is_tried_again(scu, file, free_port):
    outcome = scu.store(file, Peer(ae_title="TPS", host="127.0.0.1", port=free_port))
    reason = f"no connection to TPS at 127.0.0.1:{free_port}"
    assert outcome == TransientFailure(reason=reason, is_unreachable=True)


def test_an_unknown_host_is_tried_again(scu, file):
    outcome = scu.store(file, Peer(ae_title="TPS", host="tps.invalid", port=104))
    assert isinstance(outcome, TransientFailure)
    assert "tps.invalid" in outcome.reason


@pytest.mark.parametrize("closes", [True, False])
def test_a_peer_that_does_not_answer_the_request_is_tried_again(file, closes):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            connection, _ = listener.accept()
            with connection:
                if not closes:
                    time.sleep(2.5)

        thread = threading.Thread(target=accept)
        thread.start()
        peer = Peer(ae_title="TPS", host="127.0.0.1", port=listener.getsockname()[1])
        outcome = Scu(calling_aet="NODE", timeout_s=1).store(file, peer)
        thread.join()
    assert isinstance(outcome, TransientFailure)
    assert "did not answer the association request" in outcome.reason


def test_a_destination_that_never_answers_the_store_is_tried_again(start_destination, file):
    hold = threading.Event()
    destination = start_destination(Behaviour(status=lambda _: int(not hold.wait(10))))
    outcome = Scu(calling_aet="NODE", timeout_s=1).store(file, destination.peer)
    hold.set()
    assert isinstance(outcome, TransientFailure)
    assert "no answer" in outcome.reason


def test_what_is_no_dicom_file_is_refused(scu, tmp_path, free_port):
    path = tmp_path / "rs.dcm"
    path.write_bytes(b"nothing of the kind" * 100)
    peer = Peer(ae_title="TPS", host="127.0.0.1", port=free_port)
    outcome = scu.store(path, peer)
    assert isinstance(outcome, PermanentRefusal)
    assert "rs.dcm" in outcome.reason


def test_a_file_that_cannot_be_read_is_tried_again(scu, tmp_path, free_port):
    peer = Peer(ae_title="TPS", host="127.0.0.1", port=free_port)
    assert isinstance(scu.store(tmp_path / "absent.dcm", peer), TransientFailure)


def test_echo_tells_whether_the_peer_would_answer(scu, start_destination, free_port):
    assert scu.echo(start_destination().peer) == Sent()
    refusal = scu.echo(start_destination(Behaviour(calling_aets=("OTHER",))).peer)
    assert isinstance(refusal, PermanentRefusal)
    absent = Peer(ae_title="TPS", host="127.0.0.1", port=free_port)
    assert isinstance(scu.echo(absent), TransientFailure)

import socket
import struct
import threading
import time

import pytest
from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE

from tests.service.receive.client import VERIFICATION, RawPeer, pdvs, request_pdu, store_command
from tests.service.receive.samples import CT, EVERY_SYNTAX, EXPLICIT, RTSTRUCT, SERIES, ct_slice, encoded

pytestmark = pytest.mark.network


def rejection(port, **titles):
    with RawPeer(port) as peer:
        peer.socket.sendall(request_pdu((CT, [EXPLICIT]), **titles))
        kind, pdu = peer.pdu()
        return (kind, *pdu[7:10])


def test_an_echo_is_answered(node):
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.echo().Status == 0
        peer.release()


@pytest.mark.parametrize("called", ["NODE", "BRAIN"])
def test_the_nodes_own_title_and_those_of_its_rules_are_answered_to(node, called):
    with RawPeer(node.port) as peer:
        peer.associate(called=called)
        peer.release()


def test_an_unknown_called_title_is_rejected_for_good(node):
    # PS3.8 Table 9-21: permanent, service user, called AE title not recognized
    assert rejection(node.port, called="OTHER") == (3, 1, 1, 7)


def test_an_unknown_calling_title_is_rejected_for_good(start_node):
    node = start_node(senders=[{"ae_title": "SCANNER"}])
    assert rejection(node.port, calling="STRANGER") == (3, 1, 1, 3)
    with RawPeer(node.port) as peer:
        peer.associate(calling="SCANNER")


def test_another_implementation_sees_the_rejection_and_not_an_abort(start_node):
    node = start_node(senders=[{"ae_title": "SCANNER"}])
    entity = AE("STRANGER")
    entity.add_requested_context(VERIFICATION)
    association = entity.associate("127.0.0.1", node.port, ae_title="NODE")
    assert (association.is_rejected, association.is_aborted) == (True, False)


@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
@pytest.mark.parametrize("size", [1000, 200000])
def test_an_instance_is_kept_as_it_came(node, syntax, size):
    pixels = bytes(range(256)) * 2000
    data = encoded(ct_slice(pixels=pixels), syntax)
    with RawPeer(node.port) as peer:
        peer.associate((CT, [syntax]))
        assert peer.store(data, sop_instance_uid=f"{SERIES}.1", size=size).Status == 0
        peer.release()
    (path,) = node.files()
    kept = path.read_bytes()
    assert kept.endswith(data)
    meta = dcmread(path, stop_before_pixels=True).file_meta
    assert len(kept) == len(data) + 144 + meta.FileMetaInformationGroupLength
    assert meta.TransferSyntaxUID == syntax
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == f"{SERIES}.1"
    assert meta.SourceApplicationEntityTitle == meta.SendingApplicationEntityTitle == "SCANNER"
    assert meta.ReceivingApplicationEntityTitle == "NODE"
    assert UID(meta.ImplementationClassUID).is_valid
    (job,) = node.job_rows()
    assert (job.series_uid, job.calling_aet, job.called_aet, job.slice_count) == (
        SERIES,
        "SCANNER",
        "NODE",
        1,
    )


def test_other_objects_are_kept_and_open_no_job(node):
    ds = ct_slice()
    ds.SOPClassUID, ds.Modality = RTSTRUCT, "RTSTRUCT"
    with RawPeer(node.port) as peer:
        peer.associate((RTSTRUCT, [EXPLICIT]))
        data = encoded(ds, EXPLICIT)
        assert peer.store(data, sop_class_uid=RTSTRUCT, sop_instance_uid=f"{SERIES}.1").Status == 0
    assert len(node.files()) == 1
    assert node.job_rows() == []


def test_the_same_instance_again_changes_nothing(node):
    data = encoded(ct_slice(), EXPLICIT)
    with RawPeer(node.port) as peer:
        peer.associate()
        for _ in range(2):
            assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0
    assert len(node.files()) == 1
    assert [job.slice_count for job in node.job_rows()] == [1]


def test_other_content_under_a_known_uid_is_refused_and_the_first_stays(node):
    first = encoded(ct_slice(), EXPLICIT)
    other = encoded(ct_slice(pixels=bytes(512)), EXPLICIT)
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(first, sop_instance_uid=f"{SERIES}.1").Status == 0
        answer = peer.store(other, sop_instance_uid=f"{SERIES}.1")
        assert answer.Status == 0x0111
        assert "other content" in answer.ErrorComment
    (path,) = node.files()
    assert path.read_bytes().endswith(first)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda data: data[:-3], 0xC000),
        (lambda data: data[: len(data) // 2], 0xC000),
        (lambda _: b"", 0xC000),
        (lambda _: bytes(200), 0xC000),
        (lambda data: data.replace(b"1.2.3.20.1", b"1.2.3.20.2"), 0xA900),
        (lambda data: data.replace(CT.encode() + b"\0", b"1.2.840.10008.5.1.4.1.1.4\0", 1), 0xA900),
    ],
)
def test_a_dataset_that_is_not_right_is_refused_and_nothing_is_left(node, change, status):
    data = encoded(ct_slice(), EXPLICIT)
    with RawPeer(node.port) as peer:
        peer.associate()
        answer = peer.store(change(data), sop_instance_uid=f"{SERIES}.1")
        assert answer.Status == status
        assert answer.ErrorComment
        assert (node.files(), node.parts(), node.job_rows()) == ([], [], [])
        assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0, "the association goes on"


def test_a_request_of_another_class_than_its_context_is_refused(node):
    with RawPeer(node.port) as peer:
        peer.associate()
        data = encoded(ct_slice(), EXPLICIT)
        answer = peer.store(data, sop_class_uid=RTSTRUCT, sop_instance_uid=f"{SERIES}.1")
        assert answer.Status == 0x0122
    assert node.files() == []


def test_an_object_above_the_limit_is_refused(start_node, monkeypatch):
    monkeypatch.setattr("service.receive.store_handler.LARGEST_OBJECT_BYTES", 1 << 20)
    node = start_node()
    data = encoded(ct_slice(pixels=bytes(1 << 20)), EXPLICIT)
    with RawPeer(node.port) as peer:
        peer.associate()
        assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0xA700
        assert peer.echo().Status == 0
    assert (node.files(), node.parts()) == ([], [])


@pytest.mark.parametrize("ending", ["abort", "close", "release"])
def test_a_sender_that_leaves_inside_a_store_leaves_nothing(node, ending):
    data = encoded(ct_slice(pixels=bytes(200000)), EXPLICIT)
    with RawPeer(node.port) as peer:
        peer.associate()
        command = store_command(CT, f"{SERIES}.1")
        peer.socket.sendall(pdvs(1, command, is_command=True) + pdvs(1, data, is_command=False)[:100000])
        if ending == "abort":
            peer.socket.sendall(struct.pack(">BBLL", 7, 0, 4, 0))
        elif ending == "release":
            peer.socket.sendall(b"")
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.socket.recv(65536):  # until the node has done with it and closed
            pass
    assert (node.files(), node.parts(), node.job_rows()) == ([], [], [])


def test_two_senders_of_two_series_at_once(node):
    def send(series, calling):
        with RawPeer(node.port) as peer:
            peer.associate(calling=calling)
            for number in range(1, 41):
                data = encoded(ct_slice(number, series_uid=series), EXPLICIT)
                assert peer.store(data, sop_instance_uid=f"{series}.{number}").Status == 0
            peer.release()
        done.append(series)

    done: list[str] = []
    senders = [threading.Thread(target=send, args=(f"1.2.{n}", f"SCANNER{n}")) for n in range(1, 5)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(done) == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]
    rows = sorted((job.series_uid, job.calling_aet, job.slice_count) for job in node.job_rows())
    assert rows == [(f"1.2.{n}", f"SCANNER{n}", 40) for n in range(1, 5)]


def test_stop_answers_what_is_in_hand_and_ends_the_rest(node):
    data = encoded(ct_slice(pixels=bytes(200000)), EXPLICIT)
    command = pdvs(1, store_command(CT, f"{SERIES}.1"), is_command=True)
    message = command + pdvs(1, data, is_command=False)
    with RawPeer(node.port) as busy, RawPeer(node.port) as idle, RawPeer(node.port) as silent:
        busy.associate()
        idle.associate()
        assert idle.echo().Status == 0
        busy.socket.sendall(message[:100000])
        time.sleep(0.2)
        stopping = threading.Thread(target=node.receiver.stop)
        stopping.start()
        assert idle.pdu()[0] == 7
        assert silent.pdu()[0] in (0, 7)
        busy.socket.sendall(message[100000:])
        assert busy.response().Status == 0
        assert busy.pdu()[0] == 7
        stopping.join()
    assert len(node.files()) == 1

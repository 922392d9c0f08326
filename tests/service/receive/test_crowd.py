"""Peers that mean harm, or nothing: the node must answer others at once."""

import random
import struct
import time

import pytest

from service.receive import server
from tests.service.receive.client import RawPeer, pdvs, request_pdu, store_command
from tests.service.receive.samples import CT, EXPLICIT, IMPLICIT, SERIES, ct_slice, encoded

pytestmark = pytest.mark.network

ECHO_WITHIN_S = 1.0  # 0.2 s on a quiet machine; tests run on busy ones


def echo_s(port):
    start = time.perf_counter()
    with RawPeer(port) as peer:
        peer.associate()
        assert peer.echo().Status == 0
        peer.release()
    return time.perf_counter() - start


def test_silent_connections_do_not_keep_others_out(start_node):
    node = start_node(max_associations=4)
    silent = [RawPeer(node.port) for _ in range(server.SPARE_CONNECTIONS + 40)]
    try:
        assert min(echo_s(node.port) for _ in range(3)) < ECHO_WITHIN_S
    finally:
        for peer in silent:
            peer.socket.close()


def test_a_connection_that_asks_for_nothing_is_closed(start_node):
    node = start_node(network_timeout_s=1)
    with RawPeer(node.port) as peer:
        peer.socket.settimeout(5)
        peer.socket.sendall(b"\1\0")
        assert peer.pdu()[0] == 0


def test_an_association_that_says_nothing_is_closed(start_node):
    node = start_node(network_timeout_s=1)
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.socket.settimeout(5)
        assert peer.pdu()[0] == 0


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (struct.pack(">BBL", 9, 0, 4) + bytes(4), 1),
        (struct.pack(">BBL", 4, 0, 4) + bytes(4), 2),
        (struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + bytes(40), 6),
        (struct.pack(">BBL", 1, 0, 40) + bytes(40), 6),
        (b"GET / HTTP/1.1\r\n\r\n", 1),
    ],
)
def test_what_is_no_association_request_is_aborted(node, sent, reason):
    with RawPeer(node.port) as peer:
        peer.socket.sendall(sent)
        kind, pdu = peer.pdu()
        # PS3.8 Table 9-26: source 2, the service provider
        assert (kind, pdu[8], pdu[9]) == (7, 2, reason)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (request_pdu((CT, [EXPLICIT])), 2),
        (struct.pack(">BBL", 4, 0, 0xFFFFFFFF), 6),
        (struct.pack(">BBLLBB", 4, 0, 6, 1000, 1, 3), 6),
        (struct.pack(">BBL", 4, 0, 3) + bytes(3), 6),
        (pdvs(1, b"12345678", is_command=False), 2),
        (pdvs(1, b"12345678", is_command=True), 6),
        (pdvs(99, store_command(CT, "1.2"), is_command=True), 6),
        (pdvs(1, store_command(CT, "1.2"), is_command=True) + pdvs(3, b"12", is_command=False), 6),
        (pdvs(1, store_command(CT, "1.2"), is_command=True) + struct.pack(">BBLL", 5, 0, 4, 0), 2),
        (pdvs(1, bytes(40000), is_command=True), 6),
    ],
)
def test_what_breaks_the_protocol_is_aborted(node, sent, reason):
    with RawPeer(node.port) as peer:
        peer.associate()
        peer.socket.sendall(sent)
        kind, pdu = peer.pdu()
        assert (kind, pdu[8], pdu[9]) == (7, 2, reason)
    assert (node.files(), node.parts()) == ([], [])


@pytest.mark.filterwarnings("ignore:.*nvalid value for VR UI")
def test_mutated_associations_leave_the_node_answering(node):
    rng = random.Random(6)
    data = encoded(ct_slice(), EXPLICIT)
    message = pdvs(1, store_command(CT, f"{SERIES}.1"), is_command=True)
    valid = request_pdu((CT, [EXPLICIT, IMPLICIT])) + message + pdvs(1, data, is_command=False)
    held: list[RawPeer] = []
    for _ in range(200):
        mutated = bytearray(valid)
        for _ in range(rng.randint(1, 12)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        peer = RawPeer(node.port)
        held.append(peer)
        try:
            peer.socket.sendall(mutated[: rng.randrange(1, len(mutated) + 1)])
        except OSError:
            continue
        if len(held) > 40:
            held.pop(0).socket.close()
    assert min(echo_s(node.port) for _ in range(3)) < ECHO_WITHIN_S
    for peer in held:
        peer.socket.close()
    assert not [job for job in node.job_rows() if job.slice_count > 1]

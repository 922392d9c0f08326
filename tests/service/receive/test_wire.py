import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from service.dimse.wire import ConnectionLost, SocketReader

HEADER = struct.Struct(">BBL")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, SocketReader]]:
    """The peer's end of a connection, and what reads the other."""
    peer, ours = socket.socketpair()
    with peer, ours:
        yield peer, SocketReader(ours)


def test_headers_and_bodies_come_in_order_however_they_are_cut(ends):
    peer, reader = ends
    data = b"".join(HEADER.pack(4, 0, size) + bytes([size % 251]) * size for size in (1, 5000, 0, 70000, 9))

    def dribble() -> None:
        for start in range(0, len(data), 997):
            peer.sendall(data[start : start + 997])

    sender = threading.Thread(target=dribble)
    sender.start()
    for size in (1, 5000, 0, 70000, 9):
        assert reader.fields(HEADER, within_s=5) == (4, 0, size)
        body = memoryview(bytearray(size))
        got = 0
        while got < size:
            got += reader.into(body[got:], within_s=5)
        assert bytes(body) == bytes([size % 251]) * size
    sender.join()


def test_a_pause_may_be_longer_than_the_one_that_was_allowed_before(ends):
    peer, reader = ends
    peer.sendall(b"a")
    assert reader.exactly(1, within_s=0.2) == b"a"
    late = threading.Timer(0.35, peer.sendall, (b"b",))
    late.start()
    assert reader.exactly(1, within_s=0.6) == b"b"
    late.join()


@pytest.mark.parametrize("within_s", [0.1, 0.3, 1.0])
def test_who_is_silent_for_longer_is_given_up_and_not_sooner(ends, within_s):
    peer, reader = ends
    peer.sendall(b"a")
    reader.exactly(1, within_s=0.2)
    begin = time.monotonic()
    with pytest.raises(ConnectionLost, match="silent"):
        reader.exactly(1, within_s=within_s)
    assert time.monotonic() - begin >= within_s * 0.95


def test_a_connection_that_ends_inside_a_header_is_told(ends):
    peer, reader = ends
    peer.sendall(b"\4\0\0")
    peer.close()
    with pytest.raises(ConnectionLost, match="closed by the peer"):
        reader.fields(HEADER, within_s=5)


def test_more_than_is_ever_held_is_refused(ends):
    with pytest.raises(ValueError, match="bytes asked for"):
        ends[1].exactly(1 << 20, within_s=1)

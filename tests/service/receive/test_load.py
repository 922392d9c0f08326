"""Many at once, very many one after another, and one that is very large."""

import struct
import threading
from pathlib import Path

import psutil
import pytest

from tests.service.receive.client import RawPeer, pdvs, store_command
from tests.service.receive.samples import CT, EXPLICIT, SERIES, ct_slice, encoded
from tests.service.receive.test_durability import receiver_process, recorded

pytestmark = pytest.mark.network

GROWTH_BYTES = 24 << 20
"""More than the buffers of one association and the noise of an allocator, much less than what is sent."""


def test_32_associations_at_once_are_all_served(tmp_path):
    statuses: list[int] = []
    together = threading.Barrier(32)

    def send(port: int, sender: int) -> None:
        series = f"1.2.3.{sender}"
        with RawPeer(port) as peer:
            peer.associate(calling=f"S{sender}")
            together.wait(60)
            for number in range(1, 6):
                data = encoded(ct_slice(number, series_uid=series, pixels=bytes(100000)), EXPLICIT)
                statuses.append(peer.store(data, sop_instance_uid=f"{series}.{number}").Status)
            peer.release()

    with receiver_process(tmp_path) as (_, port):
        senders = [threading.Thread(target=send, args=(port, sender)) for sender in range(1, 33)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert statuses == [0] * 160
    assert len(recorded(tmp_path)) == 160


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    with receiver_process(tmp_path) as (process, port), RawPeer(port) as peer:
        peer.associate()
        watched = psutil.Process(process.pid)
        resident = []
        for number in range(1, 501):
            data = encoded(ct_slice(number, pixels=bytes(100000)), EXPLICIT)
            assert peer.store(data, sop_instance_uid=f"{SERIES}.{number}").Status == 0
            resident.append(watched.memory_info().rss)
        assert resident[-1] - resident[99] < GROWTH_BYTES
        assert process.poll() is None


def multi_frame(frames_bytes: int) -> tuple[bytes, bytes, int]:
    """Gives what comes before the pixels of a large object, one megabyte of them, and how many of those."""
    ds = ct_slice()
    head = encoded(ds, EXPLICIT)
    at = head.index(b"\xe0\x7f\x10\x00OW")
    megabytes = frames_bytes >> 20
    return (
        head[:at] + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<L", megabytes << 20),
        bytes(1 << 20),
        megabytes,
    )


@pytest.mark.parametrize("size", [100 << 20, pytest.param(1 << 30, marks=pytest.mark.soak)])
def test_a_large_object_streams_to_the_disk(tmp_path: Path, size: int):
    head, megabyte, count = multi_frame(size)
    with receiver_process(tmp_path) as (process, port), RawPeer(port) as peer:
        peer.associate()
        peer.socket.settimeout(120)
        watched = psutil.Process(process.pid)
        before = watched.memory_info().rss
        peer.socket.sendall(pdvs(1, store_command(CT, f"{SERIES}.1"), is_command=True))
        peer.socket.sendall(_pdv(head, is_last=False))
        highest = before
        for number in range(count):
            for start in range(0, len(megabyte), 1 << 17):
                is_last = number == count - 1 and start + (1 << 17) == len(megabyte)
                peer.socket.sendall(_pdv(megabyte[start : start + (1 << 17)], is_last=is_last))
            highest = max(highest, watched.memory_info().rss)
        assert peer.response().Status == 0
    assert highest - before < GROWTH_BYTES
    (file,) = recorded(tmp_path).values()
    assert file.size_bytes == file.header_bytes + len(head) + size


def _pdv(piece: bytes, *, is_last: bool) -> bytes:
    pdv = struct.pack(">LBB", len(piece) + 2, 1, 2 if is_last else 0) + piece
    return struct.pack(">BBL", 4, 0, len(pdv)) + pdv

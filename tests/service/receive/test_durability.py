import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.store import Database, FileStore, StoredFile
from tests.service.receive.client import RawPeer, pdvs, store_command
from tests.service.receive.samples import CT, EXPLICIT, IMPLICIT, SERIES, ct_slice, encoded

pytestmark = pytest.mark.network


@contextmanager
def receiver_process(root: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    argv = [sys.executable, "-m", "tests.service.receive.receiver_process", str(root), *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def recorded(root: Path) -> dict[str, StoredFile]:
    """Gives the files of all rows by SOP Instance UID."""
    with sqlite3.connect(f"file:{root}/node.sqlite?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT sop_instance_uid, path, size_bytes, sha256, header_bytes FROM instance"
        ).fetchall()
    connection.close()
    return {
        uid: StoredFile(path=path, size_bytes=size, sha256=digest, header_bytes=header)
        for uid, path, size, digest, header in rows
    }


def test_what_was_acknowledged_is_there_after_kill_9(tmp_path):
    rng = random.Random(5)
    acknowledged: list[str] = []

    def send(port: int, sender: int) -> None:
        series = f"1.2.3.{sender}"
        with RawPeer(port) as peer:
            peer.associate(calling=f"S{sender}")
            for _ in range(10000):
                number = next(numbers)
                data = encoded(ct_slice(number, series_uid=series, pixels=bytes(60000)), EXPLICIT)
                try:
                    status = peer.store(data, sop_instance_uid=f"{series}.{number}").Status
                except (OSError, AssertionError):
                    return
                assert status == 0
                acknowledged.append(f"{series}.{number}")

    numbers = iter(range(1, 1000000))
    for _ in range(3):
        before = len(acknowledged)
        with receiver_process(tmp_path) as (process, port):
            senders = [threading.Thread(target=send, args=(port, sender)) for sender in (1, 2, 3)]
            for sender in senders:
                sender.start()
            while len(acknowledged) < before + rng.randint(3, 20):
                time.sleep(0.001)
            time.sleep(rng.random() / 50)
            process.kill()
            process.wait()
            for sender in senders:
                sender.join()
    kept = recorded(tmp_path)
    files = FileStore(tmp_path / "store")
    assert set(acknowledged) <= set(kept)
    assert all(files.verify(file) for file in kept.values())


def test_sigterm_lets_the_store_in_hand_be_answered(tmp_path):
    data = encoded(ct_slice(pixels=bytes(200000)), EXPLICIT)
    message = pdvs(1, store_command(CT, f"{SERIES}.1"), is_command=True) + pdvs(1, data, is_command=False)
    with receiver_process(tmp_path) as (process, port), RawPeer(port) as peer:
        peer.associate()
        peer.socket.sendall(message[:100000])
        time.sleep(0.2)
        process.terminate()
        time.sleep(0.2)
        peer.socket.sendall(message[100000:])
        assert peer.response().Status == 0
        assert peer.pdu()[0] == 7
        peer.socket.close()
        assert process.wait(20) == 0
    assert list(recorded(tmp_path)) == [f"{SERIES}.1"]


def test_a_disk_that_takes_no_more_is_out_of_resources_and_leaves_nothing(tmp_path):
    small = encoded(ct_slice(1), EXPLICIT)
    large = encoded(ct_slice(2, pixels=bytes(1 << 20)), EXPLICIT)
    # the kernel fails the write where the file reaches the limit, as it does on a full disk
    with receiver_process(tmp_path, "--largest-file-bytes", "500000") as (_, port), RawPeer(port) as peer:
        peer.associate()
        assert peer.store(large, sop_instance_uid=f"{SERIES}.2").Status == 0xA700
        assert peer.store(small, sop_instance_uid=f"{SERIES}.1").Status == 0
        peer.release()
    assert list(recorded(tmp_path)) == [f"{SERIES}.1"]
    assert list((tmp_path / "store" / "parts").iterdir()) == []


def test_a_full_file_system_is_out_of_resources_until_there_is_room(tmp_path):
    disk = tmp_path / "store"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        (disk / "ballast").write_bytes(bytes(1500000))
        large = encoded(ct_slice(2, pixels=bytes(1 << 20)), EXPLICIT)
        with receiver_process(tmp_path) as (_, port), RawPeer(port) as peer:
            peer.associate()
            assert peer.store(large, sop_instance_uid=f"{SERIES}.2").Status == 0xA700
            (disk / "ballast").unlink()
            assert peer.store(large, sop_instance_uid=f"{SERIES}.2").Status == 0
        assert list(recorded(tmp_path)) == [f"{SERIES}.2"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_read_only_file_system_is_out_of_resources(tmp_path):
    disk = tmp_path / "store"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        data = encoded(ct_slice(), EXPLICIT)
        with receiver_process(tmp_path) as (_, port), RawPeer(port) as peer:
            peer.associate()
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0xA700
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0
        assert list(recorded(tmp_path)) == [f"{SERIES}.1"]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_without_room_nothing_is_taken_and_the_reason_is_told(start_node):
    reasons: list[str | None] = ["disk nearly full", None]
    node = start_node(has_room=lambda: reasons.pop(0))
    data = encoded(ct_slice(), EXPLICIT)
    with RawPeer(node.port) as peer:
        peer.associate()
        answer = peer.store(data, sop_instance_uid=f"{SERIES}.1")
        assert (answer.Status, answer.ErrorComment) == (0xA700, "disk nearly full")
        assert node.files() == []
        assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0


def test_an_image_sent_again_by_another_leaves_one_file_and_two_jobs(node):
    data = encoded(ct_slice(), EXPLICIT)
    for calling in ("SCANNER", "ARCHIVE", "SCANNER"):
        with RawPeer(node.port) as peer:
            peer.associate(calling=calling)
            assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0
    assert len(node.files()) == 1
    assert sorted((job.calling_aet, job.slice_count) for job in node.job_rows()) == [
        ("ARCHIVE", 1),
        ("SCANNER", 1),
    ]


def test_the_same_image_in_another_transfer_syntax_is_refused_with_that_reason(node):
    with RawPeer(node.port) as peer:
        peer.associate((CT, [EXPLICIT]), (CT, [IMPLICIT]))
        assert peer.store(encoded(ct_slice(), EXPLICIT), sop_instance_uid=f"{SERIES}.1").Status == 0
        answer = peer.store(encoded(ct_slice(), IMPLICIT), sop_instance_uid=f"{SERIES}.1", context_id=3)
        assert answer.Status == 0x0111
        assert answer.ErrorComment == "this SOP Instance UID is kept in another transfer syntax"
    assert len(node.files()) == 1


def test_without_the_database_nothing_is_acknowledged(node):
    data = encoded(ct_slice(), EXPLICIT)
    other = sqlite3.connect(node.root.parent / "node.sqlite", isolation_level=None)
    with RawPeer(node.port) as peer:
        peer.associate()
        other.execute("BEGIN EXCLUSIVE")
        answer = peer.store(data, sop_instance_uid=f"{SERIES}.1")
        assert (answer.Status, answer.ErrorComment) == (0xA700, "database not available")
        other.execute("ROLLBACK")
        other.close()
        assert peer.store(data, sop_instance_uid=f"{SERIES}.1").Status == 0
    assert len(node.files()) == 1
    assert isinstance(node.database, Database)

"""Power fails while slices come in.

What was synced is left, and the next start brings every acknowledged slice back.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from service.audit import AuditWriter
from service.receive.recovery import RecoveryReport, recover
from service.receive.server import Receiver
from service.store import (
    AuditLog,
    Database,
    FileStore,
    InstanceRecorder,
    JobRepository,
    SeriesRepository,
    upgrade,
)
from service.store.intake.async_commit import AsyncCommitConnection
from tests.service.receive.client import RawPeer
from tests.service.receive.conftest import settings
from tests.service.receive.samples import EXPLICIT, ct_slice, encoded
from tests.support.power import Disk

pytestmark = pytest.mark.network


@contextmanager
def powered(folder: Path, left: Path) -> Iterator[tuple[int, Disk]]:
    """A receiver whose disk keeps only what is synced; gives its port and the disk."""
    folder.mkdir()
    disk = Disk(folder, left)
    url = f"sqlite:///{folder}/node.sqlite"
    upgrade(url)
    with ExitStack() as stack:
        database = Database(url)
        stack.callback(database.close)
        recorder = stack.enter_context(
            InstanceRecorder(database, AsyncCommitConnection(database, sync=disk.sync))
        )
        files = FileStore(folder / "store", sync=disk.sync)
        trail = stack.enter_context(AuditWriter(AuditLog(database), role="receive"))
        receiver = stack.enter_context(Receiver(settings(), files, recorder, trail))
        yield receiver.port, disk
        disk.cut()


def started(left: Path) -> tuple[RecoveryReport, JobRepository, FileStore, SeriesRepository]:
    """What a start makes of what is left."""
    url = f"sqlite:///{left}/node.sqlite"
    upgrade(url)
    database = Database(url)
    book, files = JobRepository(database), FileStore(left / "store")
    with InstanceRecorder(database) as recorder:
        found = recover(files, book, recorder)
    return found, book, files, SeriesRepository(database)


def test_every_acknowledged_slice_is_there_after_a_power_cut(tmp_path):
    acknowledged: list[str] = []
    stop = threading.Event()

    def send(port: int, sender: int) -> None:
        series = f"1.2.3.{sender}"
        with RawPeer(port) as peer:
            peer.associate(calling=f"S{sender}")
            for number in range(1, 100000):
                data = encoded(ct_slice(number, series_uid=series, pixels=bytes(20000)), EXPLICIT)
                if stop.is_set() or peer.store(data, sop_instance_uid=f"{series}.{number}").Status != 0:
                    return
                acknowledged.append(f"{series}.{number}")

    with powered(tmp_path / "node", tmp_path / "left") as (port, disk):
        senders = [threading.Thread(target=send, args=(port, sender)) for sender in (1, 2, 3)]
        for sender in senders:
            sender.start()
        while len(acknowledged) < 25:
            time.sleep(0.001)
        told = set(acknowledged)
        disk.cut()
        stop.set()
        for sender in senders:
            sender.join()
    found, book, files, repository = started(tmp_path / "left")
    kept = {
        one.sop_instance_uid: one
        for series in (1, 2, 3)
        for one in book.instances_of_series(f"1.2.3.{series}")
    }
    assert told <= set(kept)
    assert all(files.verify(one.file) for one in kept.values())
    assert len(found.recorded) > 0  # otherwise the power cut took no row, and this test shows nothing
    assert (found.set_aside, found.damaged) == ((), ())
    jobs = {job.calling_aet: job.slice_count for job in repository.open_jobs()}
    assert sum(jobs.values()) == len(kept)
    assert set(jobs) <= {"S1", "S2", "S3"}


def test_who_else_sent_a_slice_is_known_after_a_power_cut_though_only_one_file_is_kept(tmp_path):
    data = encoded(ct_slice(), EXPLICIT)
    with powered(tmp_path / "node", tmp_path / "left") as (port, _):
        for calling in ("FIRST", "SECOND"):
            with RawPeer(port) as peer:
                peer.associate(calling=calling)
                assert peer.store(data, sop_instance_uid="1.2.3.20.1").Status == 0
        assert len(list((tmp_path / "node/store/objects").glob("*/*"))) == 1
    _, _, _, repository = started(tmp_path / "left")
    assert {(job.calling_aet, job.slice_count) for job in repository.open_jobs()} == {
        ("FIRST", 1),
        ("SECOND", 1),
    }


def test_a_row_waits_for_the_disk_only_where_no_file_restores_it(tmp_path):
    with powered(tmp_path / "node", tmp_path / "left") as (port, disk), RawPeer(port) as peer:
        peer.associate()
        first = encoded(ct_slice(1), EXPLICIT)
        assert peer.store(first, sop_instance_uid="1.2.3.20.1").Status == 0
        before = disk.syncs
        assert peer.store(encoded(ct_slice(2), EXPLICIT), sop_instance_uid="1.2.3.20.2").Status == 0
        assert (
            disk.syncs - before <= 3
        )  # the file; its folder where the file system needs it; a settling in between

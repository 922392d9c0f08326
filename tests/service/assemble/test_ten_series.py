"""Ten series at once over parallel associations into a real receiver: each job has exactly its own slices."""

import random
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from service.assemble import Assembler, SenderCounts
from service.assemble.silence import SilenceWatch
from service.audit import AuditWriter
from service.config import Settings
from service.receive.server import Receiver
from service.store import (
    AuditLog,
    Database,
    FileStore,
    InstanceRecorder,
    JobRepository,
    JobState,
    SeriesRepository,
)
from tests.service.receive.client import RawPeer, pdvs, store_command
from tests.service.receive.samples import CT
from tests.support.clock import ManualClock
from tests.support.destinations import data_set_of
from tests.support.small_node import RULE, TREE, model, small_volume

pytestmark = pytest.mark.network

SERIES, ASSOCIATIONS = 10, 4
PROCESSES = 10
STORESCU = Path("/usr/bin/storescu")  # pynetdicom installs another of this name


@dataclass(frozen=True, kw_only=True)
class Image:
    series_uid: str
    sop_instance_uid: str
    part10: bytes

    @property
    def data(self) -> bytes:
        """As it crosses the wire."""
        return data_set_of(self.part10)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A receiver on a free port and an assembler, on a clock that stands still."""

    receiver: Receiver
    assembler: Assembler
    book: JobRepository
    clock: ManualClock

    def slices(self) -> dict[str, set[str]]:
        """The images of each series' only job."""
        jobs = self.book.list_jobs()
        assert len({job.series_uid for job in jobs}) == len(jobs)
        return {
            job.series_uid: {one.sop_instance_uid for one in self.book.instances_of(job.id)} for job in jobs
        }

    def states(self) -> dict[str, JobState]:
        return {job.series_uid: job.state for job in self.book.list_jobs()}


@pytest.fixture(scope="module")
def images() -> list[Image]:
    """Ten series of one AE, their slices in an order that mixes them all."""
    made = []
    for number in range(SERIES):
        for source in ct_files(small_volume(), CtExport(identity=Identity(study=f"ten {number}"))):
            header = dcmread(BytesIO(source.data), stop_before_pixels=True)
            made.append(
                Image(
                    series_uid=header.SeriesInstanceUID,
                    sop_instance_uid=header.SOPInstanceUID,
                    part10=source.data,
                )
            )
    random.Random(7).shuffle(made)
    return made


@pytest.fixture
def node(database_url: str, tmp_path: Path, images: list[Image]) -> Iterator[Node]:
    sender = {"ae_title": "SCANNER", "host": "127.0.0.1", "port": 104, "answers_queries": True}
    tree = {
        **TREE,
        "receive": {"host": "127.0.0.1", "port": 0, "ae_title": "NODE"},
        "peers": {**TREE["peers"], "ct": sender},
    }
    settings = Settings.model_validate({**tree, "rules": [RULE]})
    clock = ManualClock()
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    files = FileStore(tmp_path / "store")
    whole = len(images) // SERIES
    with (
        InstanceRecorder(database) as recorder,
        AuditWriter(AuditLog(database), role="receive") as trail,
        Receiver(settings, files, recorder, trail) as receiver,
        SenderCounts(lambda *_: whole, settings.dicom_peers, clock, every_s=60, patience_s=60) as counts,
    ):
        assembler = Assembler(
            repository=SeriesRepository(database),
            files=files,
            settings=settings,
            models={"hn_oar": model()},
            counts=counts,
            silence=SilenceWatch(clock=clock, monotonic=clock.monotonic),
        )
        yield Node(receiver=receiver, assembler=assembler, book=JobRepository(database), clock=clock)
    database.close()


def send(node: Node, images: Sequence[Image], *, dies_at: int | None = None) -> None:
    """Send images on one association; one that dies is cut in the middle of an image."""
    with RawPeer(node.receiver.port) as peer:
        peer.associate()
        for number, image in enumerate(images):
            if number == dies_at:
                command = pdvs(1, store_command(CT, image.sop_instance_uid), is_command=True)
                peer.socket.sendall(command + pdvs(1, image.data, is_command=False)[: len(image.data) // 2])
                return
            assert peer.store(image.data, sop_instance_uid=image.sop_instance_uid).Status == 0
        peer.release()


def send_by_storescu(node: Node, images: Sequence[Image], folder: Path) -> None:
    """Send each image by a process of its own, on an association of its own, one after another."""
    folder.mkdir()
    for number, image in enumerate(images):
        file = folder / f"{number}.dcm"
        file.write_bytes(image.part10)
        line = [STORESCU, "-aet", "SCANNER", "-aec", "NODE", "127.0.0.1", str(node.receiver.port), file]
        subprocess.run(line, check=True, capture_output=True, timeout=120)


def send_at_once(node: Node, parts: Sequence[Sequence[Image]], *, dies_at: int | None = None) -> None:
    """Send each part on an association of its own, all at the same time, while the assembler looks."""
    at_once(
        node,
        [
            partial(send, node, part, dies_at=dies_at if number == 0 else None)
            for number, part in enumerate(parts)
        ],
    )


def at_once(node: Node, senders: Sequence[Callable[[], None]]) -> None:
    """Let all of them send at the same time, while the assembler looks."""
    sent = threading.Event()

    def look() -> None:
        while not sent.is_set():
            node.assembler.poll_once()

    with ThreadPoolExecutor(len(senders) + 1) as threads:
        looking = threads.submit(look)
        sending = [threads.submit(one) for one in senders]
        try:
            for one in sending:
                one.result()
        finally:
            sent.set()
        looking.result()


def look_until_answered(node: Node) -> None:
    node.clock.tick(20)
    node.assembler.poll_once()
    while any(node.assembler.counts.of(job) is None for job in node.assembler.repository.open_jobs()):
        pass
    node.assembler.poll_once()


def by_series(images: Sequence[Image]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for image in images:
        found[image.series_uid].add(image.sop_instance_uid)
    return dict(found)


def test_ten_interleaved_series_come_out_with_exactly_their_slices(node: Node, images: list[Image]) -> None:
    send_at_once(node, [images[number::ASSOCIATIONS] for number in range(ASSOCIATIONS)])
    assert set(node.states().values()) == {JobState.RECEIVING}
    look_until_answered(node)
    assert node.slices() == by_series(images)
    assert set(node.states().values()) == {JobState.QUEUED}


@pytest.mark.skipif(not STORESCU.exists(), reason="DCMTK is not installed: apt-get install dcmtk")
def test_ten_storescu_at_once_with_one_image_an_association_each_time(
    node: Node, images: list[Image], tmp_path: Path
) -> None:
    parts = [images[number::PROCESSES] for number in range(PROCESSES)]
    at_once(
        node,
        [partial(send_by_storescu, node, part, tmp_path / f"{n}") for n, part in enumerate(parts)],
    )
    look_until_answered(node)
    assert node.slices() == by_series(images)
    assert set(node.states().values()) == {JobState.QUEUED}


def test_an_association_that_dies_leaves_no_series_contoured_that_lost_a_slice(
    node: Node, images: list[Image]
) -> None:
    parts = [images[number::ASSOCIATIONS] for number in range(ASSOCIATIONS)]
    lost = parts[0][-9:]
    send_at_once(node, parts, dies_at=len(parts[0]) - len(lost))
    look_until_answered(node)
    short = {image.series_uid for image in lost}
    assert 0 < len(short) < SERIES
    expected = {uid: JobState.WAITING if uid in short else JobState.QUEUED for uid in by_series(images)}
    assert node.states() == expected
    assert all(job.completeness == "incomplete" for job in node.book.list_jobs(states=[JobState.WAITING]))

    send_at_once(node, [lost[:4], lost[4:]])
    look_until_answered(node)
    assert node.slices() == by_series(images)
    assert set(node.states().values()) == {JobState.QUEUED}

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.config import Peer, SendSettings, Settings
from service.send.loop import run_sender
from service.store import (
    Database,
    FileStore,
    JobBook,
    JobState,
    Order,
    Outbox,
    Parcel,
    ReceivedInstance,
    Recorder,
    SeriesDesk,
    WorkQueue,
    upgrade,
)
from tests.support.destinations import Behaviour, data_set_of, structure_set

pytestmark = pytest.mark.network


class Office:
    """A store with jobs whose structure sets wait for delivery."""

    def __init__(self, root: Path) -> None:
        self.path = root / "node.sqlite"
        upgrade(f"sqlite:///{self.path}")
        self.database = Database(f"sqlite:///{self.path}", busy_timeout_s=1)
        self.files = FileStore(root / "store")
        self.book = JobBook(self.database)
        self._recorder = Recorder(self.database)

    def close(self) -> None:
        self._recorder.close()
        self.database.close()

    def delivering(self, number: int, *destinations: str) -> int:
        """Gives the number of a job that has a structure set for these destinations."""
        uid = f"1.2.3.{number}"
        slices = self.files.put(f"{uid}.1", b"pixels")
        self._recorder.record(
            ReceivedInstance(
                sop_instance_uid=f"{uid}.1",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                series_uid=uid,
                study_uid="1.2.3",
                modality="CT",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                calling_aet="SCANNER",
                called_aet="NODE",
                peer_host="127.0.0.1",
                file=slices,
            )
        )
        desk, queue = SeriesDesk(self.database), WorkQueue(self.database)
        (job,) = desk.open_jobs()
        desk.seal(job, Order(rule="hn", model="hn_oar", model_version=1, priority=50))
        claim = queue.claim("worker", lease_s=60, max_attempts=3)
        assert claim is not None
        result = self.files.put(f"{uid}.9", structure_set(f"{uid}.9"))
        parcels = [Parcel(destination=name, file=result) for name in destinations]
        assert queue.finish(claim, parcels=parcels)
        return job.id

    def state(self, job_id: int) -> JobState:
        return self.book.job(job_id).state


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.close()


def settings(peers: dict[str, Peer], **send: float) -> Settings:
    values = {"ae_title": "NODE", "poll_s": 0.02, "backoff_s": 0.05, "backoff_max_s": 0.2, "timeout_s": 3}
    return Settings(send=SendSettings.model_validate(values | send), destinations=peers)


@contextmanager
def sender(office: Office, known: Settings) -> Iterator[None]:
    stop = threading.Event()
    outbox = Outbox(office.database)
    arguments = {"sender": "send-1", "stop": stop}
    thread = threading.Thread(target=run_sender, args=(known, outbox, office.files), kwargs=arguments)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def eventually(is_so: Callable[[], bool], within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


def test_every_destination_gets_the_set_once_and_the_job_is_done(office, start_destination):
    first, second = start_destination(), start_destination()
    job = office.delivering(1, "first", "second")
    with sender(office, settings({"first": first.peer, "second": second.peer})):
        eventually(lambda: office.state(job) is JobState.DONE)
    expected = data_set_of(structure_set("1.2.3.1.9"))
    assert [data for _, _, data in first.got] == [data for _, _, data in second.got] == [expected]


def test_a_destination_that_is_down_gets_every_set_once_when_it_is_back(office, start_destination, free_port):
    jobs = [office.delivering(number, "tps") for number in (1, 2, 3)]
    with sender(office, settings({"tps": Peer(ae_title="TPS", host="127.0.0.1", port=free_port)})):
        eventually(lambda: all("no connection" in office.book.job(job).destinations for job in jobs))
        tps = start_destination(Behaviour(port=free_port))
        eventually(lambda: all(office.state(job) is JobState.DONE for job in jobs))
    assert len(tps.got) == 3


def test_the_trouble_of_one_destination_does_not_stop_another(office, start_destination):
    hold = threading.Event()
    stuck = start_destination(Behaviour(status=lambda _: int(not hold.wait(30))))
    well = start_destination()
    jobs = [office.delivering(number, "stuck", "well") for number in (1, 2, 3)]
    with sender(office, settings({"stuck": stuck.peer, "well": well.peer}, timeout_s=60)):
        eventually(lambda: len(well.got) == 3)
        assert not any(office.state(job) is JobState.DONE for job in jobs)
        hold.set()
        eventually(lambda: all(office.state(job) is JobState.DONE for job in jobs))


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (Behaviour(status=lambda _: 0xC000), "cannot understand"),
        (Behaviour(calling_aets=("OTHER",)), "does not know the calling AE title"),
    ],
)
def test_a_permanent_refusal_is_not_tried_again_and_says_why(office, start_destination, behaviour, words):
    tps = start_destination(behaviour)
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer})):
        eventually(lambda: office.state(job) is JobState.PARKED)
        time.sleep(0.5)
    assert len(tps.got) <= 1
    assert words in office.book.job(job).reason


def test_a_destination_that_stands_nowhere_in_the_settings_is_refused(office):
    job = office.delivering(1, "gone")
    with sender(office, settings({})):
        eventually(lambda: office.state(job) is JobState.PARKED)
    assert "gone" in office.book.job(job).reason


def test_after_the_last_attempt_the_delivery_is_parked(office, start_destination):
    tps = start_destination(Behaviour(status=lambda _: 0xA700))
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer}, max_attempts=3)):
        eventually(lambda: office.state(job) is JobState.PARKED)
    assert len(tps.got) == 3
    assert "out of resources" in office.book.job(job).reason


def test_a_result_waits_for_a_database_that_is_away_and_is_not_sent_twice(office, start_destination):
    other = sqlite3.connect(office.path, isolation_level=None, check_same_thread=False)

    def take_the_database(_: object) -> int:
        other.execute("BEGIN EXCLUSIVE")
        return 0

    tps = start_destination(Behaviour(status=take_the_database))
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer})):
        eventually(lambda: len(tps.got) == 1)
        time.sleep(2)
        other.execute("ROLLBACK")
        eventually(lambda: office.state(job) is JobState.DONE)
    other.close()
    assert len(tps.got) == 1


def test_stop_finishes_what_is_under_way_and_gives_back_the_rest(office, start_destination):
    hold = threading.Event()
    tps = start_destination(Behaviour(status=lambda _: int(not hold.wait(30))))
    jobs = [office.delivering(number, "tps") for number in (1, 2)]
    known = settings({"tps": tps.peer}, timeout_s=60)
    threading.Timer(0.5, hold.set).start()
    with sender(office, known):
        eventually(lambda: len(tps.got) == 1)
        time.sleep(0.2)
    assert [office.state(job) for job in jobs] == [JobState.DONE, JobState.DELIVERING]
    with sender(office, known):
        eventually(lambda: office.state(jobs[1]) is JobState.DONE)
    assert len(tps.got) == 2

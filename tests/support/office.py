"""A store with jobs whose objects wait for delivery, and a real sender for them."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.config import Destination, Settings
from service.send.dispatcher import run_sender
from service.store import (
    ArtifactKind,
    ContouringOrder,
    Database,
    FileStore,
    InstanceRecorder,
    JobRepository,
    JobState,
    NewArtifact,
    NodeIdentity,
    Outbox,
    ReceivedInstance,
    SeriesRepository,
    WorkQueue,
    upgrade,
)
from service.store.objects import FolderObjectStore, keep_artifact
from tests.support.clock import ManualClock
from tests.support.destinations import structure_set


class Office:
    """A store with jobs whose structure sets wait for delivery."""

    def __init__(self, root: Path, clock: ManualClock | None = None) -> None:
        self.path = root / "node.sqlite"
        upgrade(f"sqlite:///{self.path}")
        clocks = {} if clock is None else {"clock": clock, "monotonic": clock.monotonic}
        self.database = Database(f"sqlite:///{self.path}", busy_timeout_s=1, **clocks)
        self.files = FileStore(root / "store")
        self.objects = FolderObjectStore(root / "store")
        self.identity = NodeIdentity(self.database, root / "store")
        assert self.identity.settle() == ""
        self.book = JobRepository(self.database)
        self._recorder = InstanceRecorder(self.database)

    def close(self) -> None:
        self._recorder.close()
        self.database.close()

    def delivering(
        self,
        number: int,
        *destinations: str,
        priority: int = 50,
        standby: Sequence[tuple[str, str]] = (),
    ) -> int:
        """Gives the number of a job that has a structure set for these destinations; standby: fallback, for whom."""
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
        repository, queue = SeriesRepository(self.database), WorkQueue(self.database)
        (job,) = repository.open_jobs()
        repository.close_series(
            job, ContouringOrder(rule="hn", model="hn_oar", model_version=1, priority=priority)
        )
        claim = queue.claim("worker", lease_s=60, max_attempts=3)
        assert claim is not None
        result = keep_artifact(self.objects, structure_set(f"{uid}.9"))
        made = NewArtifact(
            kind=ArtifactKind.STRUCTURE_SET,
            file=result,
            destinations=destinations,
            standby={name: tuple(of for one, of in standby if one == name) for name, _ in standby},
        )
        assert queue.finish(claim, made=[made])
        return job.id

    def state(self, job_id: int) -> JobState:
        return self.book.job(job_id).state

    def told(self, job_id: int) -> str:
        """Gives the job's history as text."""
        return "\n".join(f"{event.kind}: {event.message}" for event in self.book.events(job_id))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    office.close()


def settings(
    known: dict[str, Destination], *, advanced: dict[str, float] | None = None, **of_each: object
) -> Settings:
    times = {"poll_s": 0.02, "backoff_s": 0.005}
    of_each = {"timeout_s": 3, **of_each}
    return Settings.model_validate(
        {
            "send": {"ae_title": "NODE"},
            "peers": {
                name: peer.model_copy(
                    update={key: value for key, value in of_each.items() if key not in peer.model_fields_set}
                )
                for name, peer in known.items()
            },
            "advanced": {**times, **(advanced or {})},
        }
    )


@contextmanager
def sender(office: Office, known: Settings) -> Iterator[None]:
    stop = threading.Event()
    outbox = Outbox(office.database)
    arguments = {"sender": "send-1", "stop": stop, "identity": office.identity}
    thread = threading.Thread(target=run_sender, args=(known, outbox, office.objects), kwargs=arguments)
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

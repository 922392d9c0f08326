"""Received instances without a network: rows whose file may or may not exist, and jobs brought to a state."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from service.store import (
    ArtifactKind,
    ClaimedJob,
    CloseOutcome,
    ContouringOrder,
    Database,
    InstanceRecorder,
    JobRepository,
    JobState,
    NewArtifact,
    OpenJob,
    Outbox,
    ReceivedInstance,
    RecordOutcome,
    SeriesRepository,
    StoredFile,
    WorkQueue,
)
from tests.support.actors import JobChanges
from tests.support.clock import ManualClock

CT = "1.2.840.10008.5.1.4.1.1.2"
RT_DOSE = "1.2.840.10008.5.1.4.1.1.481.2"
STUDY = "1.2.3"
SERIES = "1.2.3.7"


def stored_file(uid: str, content: str = "pixels") -> StoredFile:
    who, what = (hashlib.sha256(text.encode()).hexdigest() for text in (uid, uid + content))
    path = f"objects/{who[:2]}/{who[:40]}-{what[:40]}.dcm"
    return StoredFile(path=path, size_bytes=500, sha256=what, header_bytes=300)


def structure_set(file: StoredFile, *destinations: str, **standby: tuple[str, ...]) -> NewArtifact:
    """A structure set for these destinations; `standby`: fallback destinations, each with those it stands in for."""
    return NewArtifact(kind=ArtifactKind.STRUCTURE_SET, file=file, destinations=destinations, standby=standby)


def received(
    number: int = 1,
    *,
    series: str = SERIES,
    study: str = STUDY,
    calling: str = "SCANNER",
    called: str = "CONTOURNODE",
    content: str = "pixels",
    sop_class: str = CT,
) -> ReceivedInstance:
    uid = f"{series}.{number}"
    return ReceivedInstance(
        sop_instance_uid=uid,
        sop_class_uid=sop_class,
        series_uid=series,
        study_uid=study,
        modality="CT" if sop_class == CT else "RTDOSE",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_aet=calling,
        called_aet=called,
        peer_host="10.0.0.7",
        file=stored_file(uid, content),
    )


@dataclass
class Node:
    """The store's desks on one database and one clock, and short ways to bring a job somewhere."""

    database: Database
    clock: ManualClock
    recorder: InstanceRecorder

    def __post_init__(self) -> None:
        self.series = SeriesRepository(self.database)
        self.work = WorkQueue(self.database)
        self.outbox = Outbox(self.database)
        self.book = JobRepository(self.database)
        self.changes = JobChanges(self.database)

    def receive(self, *instances: ReceivedInstance) -> list[RecordOutcome]:
        return [self.recorder.record(instance) for instance in instances]

    def only_open(self) -> OpenJob:
        (job,) = self.series.open_jobs()
        return job

    def close_series(
        self, job: OpenJob | None = None, *, priority: int = 50, rule: str = "hn", version: int = 1
    ) -> CloseOutcome:
        seen = self.only_open() if job is None else job
        return self.series.close_series(
            seen, ContouringOrder(rule=rule, model="hn_oar", model_version=version, priority=priority)
        )

    def claim(self, worker: str = "w1", *, lease_s: float = 60, max_attempts: int = 3) -> ClaimedJob | None:
        return self.work.claim(worker, lease_s=lease_s, max_attempts=max_attempts)

    def claimed(self, worker: str = "w1") -> ClaimedJob:
        claim = self.claim(worker)
        assert claim is not None
        return claim

    def finish(self, claim: ClaimedJob, *destinations: str) -> bool:
        file = stored_file(f"2.25.{claim.id}")
        return self.work.finish(claim, made=[structure_set(file, *(destinations or ("tps",)))])

    def job_in(self, state: JobState, *, series: str = SERIES) -> int:
        """Bring a new job to a state by the ordinary ways; return its number."""
        self.receive(received(1, series=series), received(2, series=series))
        job = next(job for job in self.series.open_jobs() if job.series_uid == series)
        _WAYS[state](self, job)
        assert self.book.job(job.id).state is state
        return job.id


def _closed(node: Node, job: OpenJob) -> None:
    assert node.close_series(job) is CloseOutcome.QUEUED


def _running(node: Node, job: OpenJob) -> ClaimedJob:
    _closed(node, job)
    claim = node.claimed()
    assert claim.id == job.id
    return claim


def _delivering(node: Node, job: OpenJob) -> None:
    assert node.finish(_running(node, job))


def _done(node: Node, job: OpenJob) -> None:
    _delivering(node, job)
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    assert node.outbox.sent(delivery)


def _failed(node: Node, job: OpenJob) -> None:
    assert node.work.fail(_running(node, job), reason="broken", max_attempts=3, delay_s=30)


def _failed_for_good(node: Node, job: OpenJob) -> None:
    assert node.work.fail(_running(node, job), reason="broken", max_attempts=1, delay_s=30)


def _superseded(node: Node, job: OpenJob) -> None:
    _closed(node, job)
    node.receive(received(99, series=job.series_uid))
    node.clock.now += timedelta(seconds=1)


_WAYS = {
    JobState.RECEIVING: lambda _node, _job: None,
    JobState.WAITING: lambda node, job: node.series.set_waiting(job.id, "slice 3 is missing"),
    JobState.QUEUED: _closed,
    JobState.RUNNING: _running,
    JobState.DELIVERING: _delivering,
    JobState.DONE: _done,
    JobState.REFUSED: lambda node, job: node.series.refuse(job, "no rule matches"),
    JobState.NOTHING_TO_CONTOUR: lambda node, job: node.series.nothing_to_contour(
        job, "nothing to contour: 2 localizers"
    ),
    JobState.RETRYING: _failed,
    JobState.FAILED: _failed_for_good,
    JobState.CANCELLED: lambda node, job: node.changes.cancel(job.id),
    JobState.SUPERSEDED: _superseded,
}

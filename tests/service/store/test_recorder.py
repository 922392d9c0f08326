from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from service.errors import Refused
from service.store import (
    Database,
    DatabaseUnavailable,
    EventKind,
    InstanceRecorder,
    JobState,
    NotRecorded,
    RecordOutcome,
)
from tests.support.arrivals import RT_DOSE, SERIES, Node, received


def test_a_new_ct_slice_opens_a_job(node: Node) -> None:
    assert node.receive(received(1), received(2)) == [RecordOutcome.NEW, RecordOutcome.NEW]
    job = node.only_open()
    assert (job.series_uid, job.version, job.state, job.slice_count) == (SERIES, 1, JobState.RECEIVING, 2)
    assert (job.calling_aet, job.called_aet) == ("SCANNER", "CONTOURNODE")
    assert [one.sop_instance_uid for one in node.series.instances_of(job.id)] == [
        f"{SERIES}.1",
        f"{SERIES}.2",
    ]


def test_each_new_slice_moves_the_quiet_timer_and_a_known_one_does_not(node: Node) -> None:
    node.receive(received(1))
    then = node.clock.tick(5)
    node.receive(received(2))
    node.clock.tick(5)
    assert node.receive(received(2)) == [RecordOutcome.DUPLICATE]
    assert node.only_open().last_received_at == then
    assert node.only_open().slice_count == 2
    assert [event.kind for event in node.book.events(node.only_open().id)] == [EventKind.OPENED]


def test_the_same_uid_with_another_content_keeps_the_first_and_tells(node: Node) -> None:
    node.receive(received(1))
    assert node.receive(received(1, content="other pixels")) == [RecordOutcome.CONFLICT]
    (kept,) = node.book.instances_of_series(SERIES)
    assert kept.file == received(1).file
    last = node.book.events(node.only_open().id)[-1]
    assert last.kind is EventKind.CONFLICT
    assert f"{SERIES}.1" in last.message


def test_the_same_image_in_another_transfer_syntax_is_told_apart_from_another_image(node: Node) -> None:
    node.receive(received(1))
    other = replace(received(1, content="encoded otherwise"), transfer_syntax_uid="1.2.840.10008.1.2.4.70")
    assert node.receive(other) == [RecordOutcome.OTHER_SYNTAX]
    (kept,) = node.book.instances_of_series(SERIES)
    assert kept.file == received(1).file
    assert node.book.events(node.only_open().id)[-1].kind is EventKind.CONFLICT


def test_what_is_not_ct_is_kept_and_opens_no_job(node: Node) -> None:
    assert node.receive(received(1, sop_class=RT_DOSE)) == [RecordOutcome.NEW]
    assert node.receive(received(1, sop_class=RT_DOSE)) == [RecordOutcome.DUPLICATE]
    assert node.series.open_jobs() == []
    assert len(node.book.instances_of_series(SERIES)) == 1


def test_two_senders_of_one_series_have_a_job_each_with_their_own_slices(node: Node) -> None:
    node.receive(received(1), received(2))
    assert node.receive(received(1, calling="PACS")) == [RecordOutcome.DUPLICATE]
    scanner, pacs = node.series.open_jobs()
    assert (scanner.calling_aet, scanner.slice_count) == ("SCANNER", 2)
    assert (pacs.calling_aet, pacs.slice_count) == ("PACS", 1)
    assert [one.sop_instance_uid for one in node.series.instances_of(pacs.id)] == [f"{SERIES}.1"]


@pytest.mark.parametrize(
    "state", [JobState.QUEUED, JobState.RUNNING, JobState.RETRYING, JobState.DELIVERING, JobState.FAILED]
)
def test_a_late_slice_opens_the_next_version_and_supersedes_what_is_under_way(
    node: Node, state: JobState
) -> None:
    old = node.job_in(state)
    assert node.receive(received(3)) == [RecordOutcome.NEW]
    new = node.only_open()
    assert (new.version, new.state, new.slice_count) == (2, JobState.RECEIVING, 3)
    assert node.book.job(old).state is JobState.SUPERSEDED
    assert node.book.job(old).superseded_by == new.id
    assert len(node.series.instances_of(new.id)) == 3
    assert len(node.series.instances_of(old)) == 2
    assert node.claim() is None
    assert node.outbox.claim_delivery("s1", lease_s=60) is None


@pytest.mark.parametrize("state", [JobState.DONE, JobState.REFUSED])
def test_a_late_slice_leaves_an_ended_job_as_it_is_but_for_the_pointer(node: Node, state: JobState) -> None:
    old = node.job_in(state)
    node.receive(received(3))
    assert node.book.job(old).state is state
    assert node.book.job(old).superseded_by == node.only_open().id


@pytest.mark.parametrize(
    "state",
    sorted(set(JobState) - {JobState.RECEIVING, JobState.WAITING, JobState.SUPERSEDED, JobState.CANCELLED}),
)
def test_a_series_sent_again_changes_nothing_but_one_event(node: Node, state: JobState) -> None:
    job = node.job_in(state)
    before = node.book.job(job)
    assert node.receive(received(1), received(2)) == [RecordOutcome.DUPLICATE, RecordOutcome.DUPLICATE]
    assert node.book.job(job) == before
    assert node.series.open_jobs() == []
    assert [event.kind for event in node.book.events(job)].count(EventKind.SENT_AGAIN) == 1


def test_a_slice_of_a_waiting_job_keeps_it_waiting_and_moves_its_timer(node: Node) -> None:
    job = node.job_in(JobState.WAITING)
    now = node.clock.tick(9)
    node.receive(received(3))
    assert (node.only_open().id, node.only_open().state, node.only_open().last_received_at) == (
        job,
        JobState.WAITING,
        now,
    )


def test_many_threads_and_two_recorders_record_each_slice_once(node: Node, database_url: str) -> None:
    other = Database(database_url, clock=node.clock, monotonic=node.clock.monotonic)
    with InstanceRecorder(other) as second, ThreadPoolExecutor(32) as threads:
        recorders = [node.recorder, second]
        tasks = [
            threads.submit(recorders[number % 2].record, received(slice_number, series=f"1.2.{series}"))
            for number in range(2)
            for slice_number in range(40)
            for series in range(5)
        ]
        outcomes = [task.result() for task in tasks]
    other.close()
    assert outcomes.count(RecordOutcome.NEW) == 200
    assert outcomes.count(RecordOutcome.DUPLICATE) == 200
    jobs = node.series.open_jobs()
    assert sorted(job.slice_count for job in jobs) == [40] * 5
    assert all(len(node.series.instances_of(job.id)) == 40 for job in jobs)


def test_a_record_that_the_database_refuses_does_not_take_its_neighbours_with_it(node: Node) -> None:
    first = received(1)
    stolen = replace(received(2), file=first.file)  # two instances cannot share a file
    with ThreadPoolExecutor(8) as threads:
        tasks = [threads.submit(node.recorder.record, one) for one in [first, *map(received, range(3, 9))]]
        assert [task.result() for task in tasks] == [RecordOutcome.NEW] * 7
    with pytest.raises(NotRecorded, match=rf"{SERIES}\.2"):
        node.recorder.record(stolen)
    assert node.receive(received(9)) == [RecordOutcome.NEW]


def test_a_closed_recorder_says_so(node: Node) -> None:
    node.recorder.require_alive()
    node.recorder.close()
    with pytest.raises(DatabaseUnavailable, match="has ended"):
        node.recorder.require_alive()
    with pytest.raises(DatabaseUnavailable, match="closed"):
        node.recorder.record(received(1))


@pytest.mark.parametrize(
    "change",
    [
        {"sop_instance_uid": "../../etc/passwd"},
        {"sop_instance_uid": ""},
        {"series_uid": "1." * 40},
        {"calling_aet": "SEVENTEEN LETTERS"},
        {"modality": "C\x00T"},
    ],
)
def test_an_identifier_that_is_none_is_refused_before_the_database_sees_it(change: dict[str, str]) -> None:
    with pytest.raises(Refused, match=next(iter(change))):
        replace(received(1), **change)

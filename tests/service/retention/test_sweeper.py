import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from phantoms.dicom import CtExport, ct_files
from service.config import RetentionSettings
from service.receive.recovery import recover
from service.retention import RetentionSweep
from service.store import (
    AuditKind,
    AuditLog,
    CloseOutcome,
    ContouringOrder,
    DiskGauge,
    JobState,
    NotAllowed,
    OpenJob,
    RetainedKind,
    RetentionStore,
    SeriesHeader,
    StoredFile,
    forget_patients,
    read_series,
)
from service.store.objects import keep_artifact
from tests.support.arrivals import RT_DOSE, received, structure_set
from tests.support.small_node import SmallNode, small_volume

DAY = 86400.0
ORDER = ContouringOrder(rule="hn", model="hn_oar", model_version=1, priority=50)
SERIES = len(ct_files(small_volume()))


@pytest.fixture
def settings() -> RetentionSettings:
    return RetentionSettings()


def sweeper(node: SmallNode, settings: RetentionSettings, free: float = 0.5) -> RetentionSweep:
    return RetentionSweep(
        keeper=RetentionStore(node.database),
        content=node.content,
        gauge=gauge(free),
        settings=settings,
        every_s=0.05,
        forget_patients=lambda: forget_patients(node.database),
        clock=node.clock,
    )


GIB = 1 << 30


def gauge(free: float) -> DiskGauge:
    def statvfs(_: Path) -> os.statvfs_result:
        return os.statvfs_result((GIB, GIB, 1000, int(free * 1000), int(free * 1000), 0, 0, 0, 0, 255))

    return DiskGauge(Path("/"), RetentionSettings(), statvfs=statvfs)


def bring(node: SmallNode, state: JobState) -> int:
    """A job of a real series in this state, with the files that it would have."""
    node.receive()
    job = node.series.open_jobs()[0]
    if state is JobState.REFUSED:
        node.series.refuse(job, "no rule")
    elif state is JobState.WAITING:
        node.series.set_waiting(job.id, "a slice is missing")
    elif state is not JobState.RECEIVING:
        assert node.series.close_series(job, ORDER) is CloseOutcome.QUEUED
        _work(node, job.id, state)
    if state is JobState.CANCELLED:
        node.changes.cancel(job.id)
    assert node.book.job(job.id).state is state
    return job.id


def _work(node: SmallNode, job_id: int, state: JobState) -> None:
    if state in (JobState.QUEUED, JobState.CANCELLED):
        return
    claim = node.queue.claim("w", lease_s=10 * 365 * DAY, max_attempts=3)
    assert claim is not None
    if state in (JobState.RETRYING, JobState.FAILED):
        node.queue.fail(claim, reason="x", max_attempts=1 if state is JobState.FAILED else 3, delay_s=1)
    elif state in (JobState.DELIVERING, JobState.DONE):
        made = keep_artifact(node.objects, b"structure set")
        node.queue.finish(claim, made=[structure_set(made, "tps")])
    if state is JobState.DONE:
        delivery = node.outbox.claim_delivery("s", lease_s=60)
        assert delivery is not None
        node.outbox.sent(delivery)


def stored(node: SmallNode) -> set[str]:
    root = node.files._root
    return {str(path.relative_to(root)) for path in root.rglob("*.dcm")}


@pytest.mark.parametrize(
    "state",
    [
        JobState.RECEIVING,
        JobState.WAITING,
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.RETRYING,
        JobState.FAILED,
        JobState.DELIVERING,
    ],
)
def test_nothing_of_a_job_that_is_not_over_ever_goes(
    small_node: SmallNode, settings: RetentionSettings, state: JobState
) -> None:
    bring(small_node, state)
    before = stored(small_node)
    small_node.clock.tick(1000 * DAY)
    assert sweeper(small_node, settings).sweep() == []
    assert sweeper(small_node, RetentionSettings(make_room=True), free=0.02).sweep() == []
    assert stored(small_node) == before


@pytest.mark.parametrize("state", [JobState.DONE, JobState.REFUSED, JobState.CANCELLED])
def test_images_of_a_job_that_is_over_go_after_their_time_and_the_history_stays(
    small_node: SmallNode, settings: RetentionSettings, state: JobState
) -> None:
    number = bring(small_node, state)
    sweep = sweeper(small_node, settings)
    small_node.clock.tick(30 * DAY - 1)
    assert sweep.sweep() == []
    small_node.clock.tick(1)
    assert [(one.kind, one.files) for one in sweep.due()] == [(RetainedKind.IMAGES, SERIES)]
    assert len(stored(small_node)) >= SERIES  # being asked removed nothing
    assert [(one.kind, one.files) for one in sweep.sweep()] == [(RetainedKind.IMAGES, SERIES)]
    assert len(stored(small_node)) == (1 if state is JobState.DONE else 0)
    assert small_node.book.job(number).slice_count == SERIES
    assert small_node.book.events(number)
    assert sweep.sweep() == []
    (entry,) = [one.event for one in AuditLog(small_node.database).entries() if one.event.role == "retention"]
    assert (entry.kind, entry.instance_count) == (AuditKind.DELETED, SERIES)
    assert entry.study_uid


def test_results_go_later_and_never_while_a_delivery_is_open(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    bring(small_node, JobState.DONE)
    sweep = sweeper(small_node, settings)
    small_node.clock.tick(91 * DAY)
    assert {one.kind for one in sweep.sweep()} == {RetainedKind.IMAGES, RetainedKind.ARTIFACTS}
    assert stored(small_node) == set()


def test_a_result_that_a_cancelled_jobs_destination_may_still_get_stays(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    number = bring(small_node, JobState.DELIVERING)
    assert small_node.outbox.claim_delivery("s", lease_s=1000 * DAY) is not None
    small_node.changes.cancel(number)
    small_node.clock.tick(500 * DAY)
    assert sweeper(small_node, settings).sweep() == []


def test_objects_without_a_job_go_by_their_own_time(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    dose = received(1, sop_class=RT_DOSE)
    file = small_node.files.put(dose.sop_instance_uid, b"dose")
    small_node.recorder.record(replace(dose, file=file))
    small_node.clock.tick(31 * DAY)
    assert sweeper(small_node, RetentionSettings(other_objects_days=None)).sweep() == []
    assert [one.kind for one in sweeper(small_node, settings).sweep()] == [RetainedKind.OTHERS]
    assert stored(small_node) == set()


def test_a_removed_series_sent_again_is_kept_anew_and_contoured_as_a_new_version(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    number = bring(small_node, JobState.DONE)
    small_node.clock.tick(31 * DAY)
    sweeper(small_node, settings).sweep()
    with pytest.raises(NotAllowed, match="send the series again"):
        small_node.changes.rerun(number)
    small_node.receive()
    (again,) = small_node.series.open_jobs()
    assert (again.version, again.slice_count) == (2, SERIES)
    assert len(small_node.series.instances_of(again.id)) == SERIES
    assert all(small_node.files.verify(one.file) for one in small_node.series.instances_of(again.id))
    closed = small_node.series.close_series(again, ORDER)
    assert closed is CloseOutcome.QUEUED
    assert sweeper(small_node, settings).sweep() == []


def test_one_slice_of_a_removed_series_makes_a_job_that_has_only_that_slice(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    bring(small_node, JobState.DONE)
    small_node.clock.tick(31 * DAY)
    sweeper(small_node, settings).sweep()
    small_node.receive(only=slice(0, 1))
    (again,) = small_node.series.open_jobs()
    assert (again.slice_count, len(small_node.series.instances_of(again.id))) == (1, 1)


def test_a_stop_between_mark_and_unlink_is_made_good_and_a_start_does_not_take_the_file_for_a_new_one(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    bring(small_node, JobState.REFUSED)
    small_node.clock.tick(31 * DAY)
    sweep = sweeper(small_node, settings)
    assert len(sweep.keeper.mark(sweep.policy(), sweep.keeper.expired(sweep.policy()))) == SERIES
    assert len(stored(small_node)) == SERIES
    found = recover(small_node.files, small_node.book, small_node.recorder)
    assert (found.recorded, found.set_aside, found.damaged) == ((), (), ())
    sweep.sweep()
    assert stored(small_node) == set()
    assert sweep.keeper.to_unlink() == []
    assert recover(small_node.files, small_node.book, small_node.recorder).damaged == ()


def test_a_file_written_after_its_row_was_marked_is_not_unlinked(small_node: SmallNode) -> None:
    file = small_node.files.put("1.2", b"pixels")
    long_ago = small_node.clock.now - timedelta(days=20000)
    assert not small_node.files.remove(file.path, marked_at=long_ago)
    assert small_node.files.verify(file)
    assert small_node.files.remove(file.path, marked_at=small_node.clock.now)
    assert small_node.files.remove(file.path, marked_at=small_node.clock.now)
    assert not small_node.files.verify(file)


def test_a_removed_slice_that_came_again_before_the_unlink_stays(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    bring(small_node, JobState.REFUSED)
    small_node.clock.tick(31 * DAY)
    sweep = sweeper(small_node, settings)
    sweep.keeper.mark(sweep.policy(), sweep.keeper.expired(sweep.policy()))
    small_node.receive()
    sweep.sweep()
    (again,) = small_node.series.open_jobs()
    assert all(small_node.files.verify(one.file) for one in small_node.series.instances_of(again.id))


def test_make_room_takes_images_of_delivered_jobs_before_their_time_and_nothing_else(
    small_node: SmallNode,
) -> None:
    bring(small_node, JobState.DONE)
    little = RetentionSettings(make_room=True)
    assert sweeper(small_node, RetentionSettings(), free=0.05).sweep() == []
    assert sweeper(small_node, little, free=0.5).sweep() == []
    assert [one.kind for one in sweeper(small_node, little, free=0.05).sweep()] == [RetainedKind.IMAGES]
    assert len(stored(small_node)) == 1


def test_verifying_finds_what_is_damaged_or_gone_and_comes_back_after_its_time(
    small_node: SmallNode, caplog: pytest.LogCaptureFixture
) -> None:
    number = bring(small_node, JobState.DONE)
    sweep = sweeper(small_node, RetentionSettings(verify_days=30))
    assert sweep.verify_due(threading.Event()) == []
    small_node.clock.tick(31 * DAY)
    first, second, *_ = small_node.book.instances_of(number)
    spoil(small_node, first.file)
    (small_node.files._root / second.file.path).unlink()
    with caplog.at_level(logging.ERROR):
        damaged = sweep.verify_due(threading.Event())
    assert {one.file.path for one in damaged} == {first.file.path, second.file.path}
    assert first.sop_instance_uid in caplog.text
    assert sweep.verify_due(threading.Event()) == []  # the others are done, these are known
    assert len(RetentionStore(small_node.database).to_verify(job_id=number)) == SERIES + 1


def test_a_damaged_slice_sent_again_replaces_the_file_and_a_done_job_stays_done(
    small_node: SmallNode,
) -> None:
    number = bring(small_node, JobState.DONE)
    first = small_node.book.instances_of(number)[0]
    spoil(small_node, first.file)
    sweep = sweeper(small_node, RetentionSettings())
    assert len(sweep.verify(sweep.keeper.to_verify(job_id=number), threading.Event())) == 1
    small_node.receive()
    assert small_node.series.open_jobs() == []
    assert sweep.verify(sweep.keeper.to_verify(job_id=number), threading.Event()) == []


def test_a_job_refused_for_a_damaged_slice_gets_a_new_version_when_it_is_sent_again(
    small_node: SmallNode,
) -> None:
    small_node.receive()
    (job,) = small_node.series.open_jobs()
    first = small_node.series.instances_of(job.id)[0]
    spoil(small_node, first.file)
    small_node.series.damaged(first.file.path)
    small_node.files.take_out(first.file.path)
    small_node.series.refuse(job, "damaged")
    small_node.receive(CtExport())
    (again,) = small_node.series.open_jobs()
    assert (again.version, again.slice_count) == (2, SERIES)
    assert all(small_node.files.verify(one.file) for one in small_node.series.instances_of(again.id))


def test_the_role_removes_until_it_is_stopped(small_node: SmallNode, settings: RetentionSettings) -> None:
    bring(small_node, JobState.REFUSED)
    small_node.clock.tick(31 * DAY)
    stop = threading.Event()
    thread = threading.Thread(target=sweeper(small_node, settings).run, args=(stop,))
    thread.start()
    for _ in until_gone(small_node):
        pass
    stop.set()
    thread.join()
    assert stored(small_node) == set()


def until_gone(node: SmallNode) -> Iterator[None]:
    waiting = threading.Event()
    for _ in range(600):
        if not stored(node):
            return
        waiting.wait(0.05)
        yield


def spoil(node: SmallNode, file: StoredFile) -> None:
    place = node.files._root / file.path
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(bytes(data))


def test_the_patient_of_a_series_is_forgotten_with_its_last_file_and_the_rest_stays(
    small_node: SmallNode, settings: RetentionSettings
) -> None:
    small_node.receive()
    (job,) = small_node.series.open_jobs()
    small_node.clock.tick(20)
    small_node.assembler().poll_once()
    before = _series(small_node, job)
    assert (before.patient_id, before.modality) != ("", "")
    _work(small_node, job.id, JobState.DONE)
    sweeper(small_node, settings).sweep()
    assert _series(small_node, job) == before  # files are there

    small_node.clock.tick(1000 * DAY)
    sweeper(small_node, settings).sweep()

    assert stored(small_node) == set()
    after = _series(small_node, job)
    assert after == replace(before, patient_id="", patient_name="", accession_number="")


def _series(node: SmallNode, job: OpenJob) -> SeriesHeader:
    with node.database.reading() as connection:
        header = read_series(connection, job.series_uid, job.study_uid)
    assert header is not None
    return header

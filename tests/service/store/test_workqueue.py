import multiprocessing
from collections import Counter
from dataclasses import replace

import pytest

from service.store import (
    ArtifactKind,
    ArtifactRole,
    AuditKind,
    AuditLog,
    ClaimedJob,
    Database,
    EventKind,
    JobState,
    StructureFinding,
    StructureResult,
    WorkQueue,
)
from service.store.jobs.structure_results import replace_structure_results
from tests.support.arrivals import SERIES, STUDY, Node, received, stored_file, structure_set


def test_a_claim_carries_what_the_worker_needs(node: Node) -> None:
    job = node.job_in(JobState.QUEUED)
    claim = node.claimed("w1")
    status = node.book.job(job)
    assert (claim.id, claim.series_uid, claim.attempt) == (job, SERIES, 1)
    assert claim.uid != status.uid  # of what is contoured, not of the row
    assert (claim.rule, claim.model, claim.model_version) == ("hn", "hn_oar", 1)
    assert (status.state, status.worker, status.started_at) == (JobState.RUNNING, "w1", node.clock.now)
    assert node.claim("w2") is None
    assert len(node.work.instances_of(claim.id)) == 2


def test_the_more_urgent_job_comes_first_then_the_older(node: Node) -> None:
    for series, priority in (("1.1", 50), ("1.2", 90), ("1.3", 50), ("1.4", 90)):
        node.receive(received(1, series=series))
        node.close_series(priority=priority)
        node.clock.tick(1)
    assert [node.claimed().series_uid for _ in range(4)] == ["1.2", "1.4", "1.1", "1.3"]


def test_a_job_that_was_tried_before_runs_alone(node: Node) -> None:
    for series, priority in (("1.1", 90), ("1.2", 50), ("1.3", 40)):
        node.receive(received(1, series=series))
        node.close_series(priority=priority)
    suspect, other = node.claimed("w1"), node.claimed("w2")
    node.work.fail(suspect, reason="the model server was lost", max_attempts=3, delay_s=0)
    assert node.claim("w1") is None, "the suspect waits until the other job has ended"
    assert node.finish(other, "tps")
    again = node.claimed("w1")
    assert (again.id, again.attempt) == (suspect.id, 2)
    assert node.claim("w2") is None, "no other job is begun beside it"
    assert node.finish(again, "tps")
    assert node.claimed("w2").series_uid == "1.3"


def test_stages_are_seen_and_kept(node: Node) -> None:
    claim = _running(node)
    assert node.work.stage(claim, "predict")
    assert node.book.job(claim.id).stage == "predict"
    assert node.work.stage(claim, "write")
    messages = [event.message for event in node.book.events(claim.id) if event.kind is EventKind.STAGE]
    assert messages == ["predict", "write"]


def test_finish_makes_one_delivery_a_destination(node: Node) -> None:
    claim = _running(node)
    assert node.finish(claim, "tps", "pacs", "tps")
    status = node.book.job(claim.id)
    assert (status.state, status.worker, status.stage) == (JobState.DELIVERING, "", "")
    assert [one.destination for one in node.book.deliveries(claim.id)] == ["pacs", "tps"]
    assert node.book.result(claim.id) == replace(stored_file(f"2.25.{claim.id}"), header_bytes=0)


def test_each_destination_gets_its_own_file_and_the_history_says_what_to_know(node: Node) -> None:
    claim = _running(node)
    made = [structure_set(stored_file(f"2.25.{name}"), name) for name in ("tps", "pacs")]
    assert node.work.finish(claim, made=made, notes=("Larynx: not found",))
    sent = {}
    while (delivery := node.outbox.claim_delivery("s1", lease_s=60)) is not None:
        sent[delivery.destination] = delivery.result.path
        assert node.outbox.sent(delivery)
    assert sent == {one.destinations[0]: one.file.path for one in made}
    told = [event.message for event in node.book.events(claim.id)]
    assert told[-5:-3] == ["for tps, pacs", "Larynx: not found"]


LEFT_OUT = StructureResult(
    code="Larynx",
    name="Larynx",
    is_sent=False,
    volume_cc=1.25,
    slices=4,
    pieces=2,
    mean_probability=0.5,
    edges=("inferior", "left"),
    findings=(
        StructureFinding(
            check="volume_cc",
            measured=1.25,
            expected=(10.0, 50.0),
            relative_to="",
            is_implausible=True,
            words="volume 1.25 cc, expected 10 to 50 cc",
        ),
        StructureFinding(
            check="region",
            measured="thorax",
            expected=("neck", "head"),
            relative_to="",
            is_implausible=True,
            words="lies in the thorax, expected in neck or head",
        ),
    ),
    trust=0.25,
)
SENT = replace(
    LEFT_OUT, name="PRV", code="", is_sent=True, findings=(), edges=(), mean_probability=None, trust=None
)


def test_the_structures_are_recorded_with_the_result_and_read_in_their_order(node: Node) -> None:
    claim = _running(node)
    made = [structure_set(stored_file("2.25.1"), "tps")]
    assert node.book.structures(claim.id) == []
    assert node.work.finish(claim, made=made, structures=(SENT, LEFT_OUT))
    assert node.book.structures(claim.id) == [SENT, LEFT_OUT]


def test_only_the_attempt_that_holds_the_job_records_structures(node: Node) -> None:
    first = _running(node)
    node.clock.tick(61)
    second = node.claimed("w2")
    made = [structure_set(stored_file("2.25.1"), "tps")]
    assert not node.work.finish(first, made=made, structures=(LEFT_OUT, SENT))
    assert node.book.structures(first.id) == []
    assert node.work.finish(second, made=made, structures=(SENT,))
    assert node.book.structures(first.id) == [SENT]


def test_structures_written_again_replace_those_of_before_and_no_other_jobs(node: Node) -> None:
    job, other = node.job_in(JobState.QUEUED), node.job_in(JobState.QUEUED, series="1.9")
    for number, structures in ((job, (SENT, LEFT_OUT)), (other, (LEFT_OUT,)), (job, (LEFT_OUT,))):
        with node.database.writing() as connection:
            replace_structure_results(connection, number, structures)
    assert (node.book.structures(job), node.book.structures(other)) == ([LEFT_OUT], [LEFT_OUT])


def test_finish_without_an_object_is_a_bug(node: Node) -> None:
    claim = _running(node)
    with pytest.raises(ValueError, match="0 artifacts"):
        node.work.finish(claim, made=())


def test_a_result_without_destinations_is_kept_and_the_job_done(node: Node) -> None:
    claim = _running(node)
    assert node.work.finish(claim, made=[structure_set(stored_file("2.25.1"))], notes=("a note",))
    assert node.book.job(claim.id).state is JobState.DONE
    assert node.book.deliveries(claim.id) == []
    (kept,) = node.book.artifacts(claim.id)
    assert (kept.role, kept.kind, kept.path) == (
        ArtifactRole.RESULT,
        ArtifactKind.STRUCTURE_SET,
        stored_file("2.25.1").path,
    )
    said = AuditLog(node.database).entries()[-1].event
    assert (said.kind, said.actor, said.instance_count) == (AuditKind.CONTOURED, "hn_oar 1", 1)
    assert (said.job_id, said.study_uid) == (claim.id, STUDY)
    finished, note = node.book.events(claim.id)[-2:]
    assert (finished.kind, finished.message, note.to_state) == (
        EventKind.FINISHED,
        "kept, not delivered",
        JobState.DONE,
    )


def test_postpone_waits_and_does_not_count(node: Node) -> None:
    claim = _running(node)
    assert node.work.postpone(claim, reason="Triton is not ready", delay_s=15)
    status = node.book.job(claim.id)
    assert (status.state, status.attempts, status.reason) == (JobState.QUEUED, 0, "Triton is not ready")
    node.clock.tick(14)
    assert node.claim() is None
    node.clock.tick(1)
    assert node.claimed().attempt == 1


def test_a_failure_is_tried_again_after_its_delay_and_is_final_after_the_last(node: Node) -> None:
    claim = _running(node)
    uid = claim.uid
    for attempt in (1, 2):
        assert claim.attempt == attempt
        assert node.work.fail(claim, reason="broken pipe", max_attempts=3, delay_s=30)
        assert node.book.job(claim.id).state is JobState.RETRYING
        node.clock.tick(29)
        assert node.claim() is None
        node.clock.tick(1)
        claim = node.claimed()
        assert claim.uid == uid
    assert node.work.fail(claim, reason="broken pipe", max_attempts=3, delay_s=30)
    status = node.book.job(claim.id)
    assert (status.state, status.reason) == (JobState.FAILED, "broken pipe")
    node.clock.tick(10**6)
    assert node.claim() is None


def test_heartbeats_keep_a_lease_and_silence_loses_it(node: Node) -> None:
    first = _running(node)
    for _ in range(5):
        node.clock.tick(50)
        assert node.work.heartbeat(first, lease_s=60)
        assert node.claim("w2") is None
    node.clock.tick(61)
    second = node.claimed("w2")
    assert (second.id, second.uid, second.attempt) == (first.id, first.uid, 2)
    assert not node.work.heartbeat(first, lease_s=60)
    last = node.book.events(first.id)[-1]
    assert (last.kind, last.message) == (EventKind.LEASE_EXPIRED, "w1 gave no sign of life; w2 takes over")
    _nothing_can_be_written(node, first)
    assert node.finish(second)


def test_a_worker_of_the_same_name_is_not_the_one_that_lost_the_lease(node: Node) -> None:
    first = _running(node)
    node.clock.tick(61)
    second = node.claimed("w1")
    assert not node.finish(first)
    assert node.finish(second)


def test_a_job_that_kills_its_workers_fails(node: Node) -> None:
    job = _running(node).id
    for _ in range(2):
        node.clock.tick(61)
        assert node.claim() is not None
    node.clock.tick(61)
    assert node.claim() is None
    status = node.book.job(job)
    assert status.state is JobState.FAILED
    assert "3 workers" in status.reason


def test_a_cancelled_or_superseded_job_cannot_be_written_to(node: Node) -> None:
    claim = _running(node)
    node.changes.cancel(claim.id)
    _nothing_can_be_written(node, claim)
    node.receive(received(3))
    node.changes.retry(node.book.list_jobs()[0].id)
    node.close_series()
    newer = node.claimed()
    node.receive(received(4))
    assert node.book.job(newer.id).state is JobState.SUPERSEDED
    _nothing_can_be_written(node, newer)


def test_refused_by_the_worker(node: Node) -> None:
    claim = _running(node)
    assert node.work.refuse(claim, reason="2 slices are missing between z = 3.0 and z = 9.0 mm")
    assert node.book.job(claim.id).state is JobState.REFUSED


def test_several_processes_never_claim_a_job_twice(node: Node, database_url: str) -> None:
    for number in range(60):
        node.receive(received(1, series=f"1.2.{number + 1}"))
        node.close_series()
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        claimed = pool.map(_claim_until_empty, [(database_url, f"w{number}") for number in range(4)])
    counted = Counter(job for jobs in claimed for job in jobs)
    assert len(counted) == 60
    assert set(counted.values()) == {1}
    assert all(job.state is JobState.RUNNING for job in node.book.list_jobs())


def _claim_until_empty(arguments: tuple[str, str]) -> list[int]:
    url, worker = arguments
    database = Database(url)
    queue, jobs = WorkQueue(database), []
    while (claim := queue.claim(worker, lease_s=3600, max_attempts=3)) is not None:
        jobs.append(claim.id)
    database.close()
    return jobs


def _running(node: Node) -> ClaimedJob:
    node.job_in(JobState.QUEUED)
    return node.claimed("w1")


def _nothing_can_be_written(node: Node, claim: ClaimedJob) -> None:
    before = node.book.job(claim.id)
    assert not node.work.heartbeat(claim, lease_s=60)
    assert not node.work.stage(claim, "predict")
    assert not node.finish(claim)
    assert not node.work.postpone(claim, reason="later", delay_s=1)
    assert not node.work.fail(claim, reason="broken", max_attempts=3, delay_s=1)
    assert not node.work.refuse(claim, reason="tilted")
    assert node.book.job(claim.id) == before
    assert node.book.deliveries(claim.id) == []

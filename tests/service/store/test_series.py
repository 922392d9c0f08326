import threading
from dataclasses import replace

import pytest

from service.store import CloseOutcome, ContouringOrder, Database, EventKind, JobState
from service.store.jobs.versions import SeriesKey, open_version
from tests.support.arrivals import RT_DOSE, Node, received


def test_hold_says_what_the_series_waits_for_and_tells_it_once(node: Node) -> None:
    node.receive(received(1))
    job = node.only_open().id
    for _ in range(3):
        assert node.series.set_waiting(job, "2 slices are missing between z = 3 and z = 9")
    assert (node.only_open().state, node.only_open().reason) == (
        JobState.WAITING,
        "2 slices are missing between z = 3 and z = 9",
    )
    assert node.series.set_waiting(job, "1 slice is missing at z = 6")
    kinds = [event.kind for event in node.book.events(job)]
    assert kinds == [EventKind.OPENED, EventKind.WAITING, EventKind.WAITING]


def test_seal_queues_the_job_with_what_it_will_be_contoured_by(node: Node) -> None:
    node.receive(received(1), received(2))
    node.series.set_waiting(node.only_open().id, "quiet")
    assert node.close_series(priority=70) is CloseOutcome.QUEUED
    (job,) = node.book.list_jobs()
    assert (job.state, job.rule, job.model, job.model_version, job.priority) == (
        JobState.QUEUED,
        "hn",
        "hn_oar",
        1,
        70,
    )
    assert job.reason == ""
    assert job.queued_at == node.clock.now


def test_a_slice_that_came_since_the_look_prevents_the_seal(node: Node) -> None:
    node.receive(received(1))
    seen = node.only_open()
    node.receive(received(2))
    assert node.close_series(seen) is CloseOutcome.CHANGED
    assert node.only_open().state is JobState.RECEIVING
    assert node.close_series() is CloseOutcome.QUEUED


def test_of_two_that_seal_the_same_job_one_is_told_that_it_changed(node: Node) -> None:
    node.receive(received(1))
    seen = node.only_open()
    assert node.close_series(seen) is CloseOutcome.QUEUED
    assert node.close_series(seen) is CloseOutcome.CHANGED


def test_the_same_images_from_the_same_sender_are_contoured_once(node: Node) -> None:
    first = node.job_in(JobState.DONE)
    node.receive(received(1, called="OTHER"), received(2, called="OTHER"))
    second = node.only_open()
    assert node.close_series(second) is CloseOutcome.ALREADY_CONTOURED
    status = node.book.job(second.id)
    assert (status.state, status.superseded_by) == (JobState.SUPERSEDED, first)
    assert status.reason == f"job {first} has the same images, rule and model"
    assert node.claim() is None


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.REFUSED])
def test_images_whose_job_came_to_nothing_may_be_contoured_again(node: Node, state: JobState) -> None:
    node.job_in(JobState.QUEUED)
    claim = node.claimed()
    if state is JobState.CANCELLED:
        node.changes.cancel(claim.id)
    else:
        assert node.work.refuse(claim, reason="gantry tilt")
    node.receive(received(1, called="OTHER"), received(2, called="OTHER"))
    assert node.close_series() is CloseOutcome.QUEUED


@pytest.mark.parametrize("difference", ["rule", "model version", "sender"])
def test_another_rule_model_version_or_sender_is_another_job(node: Node, difference: str) -> None:
    node.job_in(JobState.DONE)
    calling = "PACS" if difference == "sender" else "SCANNER"
    node.receive(received(1, called="OTHER", calling=calling), received(2, called="OTHER", calling=calling))
    rule = "other" if difference == "rule" else "hn"
    assert (
        node.close_series(rule=rule, version=2 if difference == "model version" else 1) is CloseOutcome.QUEUED
    )


def test_refuse_ends_an_open_job_with_its_reason_and_nothing_else(node: Node) -> None:
    node.receive(received(1))
    job = node.only_open()
    reason = "no rule matches called AE CONTOURNODE from calling AE SCANNER"
    assert node.series.refuse(job, reason)
    assert (node.book.job(job.id).state, node.book.job(job.id).reason) == (JobState.REFUSED, reason)
    assert not node.series.refuse(job, reason)
    assert not node.series.set_waiting(job.id, reason)
    assert not node.series.refuse(replace(job, id=4711), reason)


def test_a_series_is_not_refused_for_a_slice_that_came_meanwhile(node: Node) -> None:
    node.receive(received(1), received(3))
    seen = node.only_open()
    node.receive(received(2))
    assert not node.series.refuse(seen, "incomplete: 1 slice missing")
    assert node.only_open().slice_count == 3
    assert node.close_series(node.only_open()) is CloseOutcome.QUEUED


def test_what_the_sender_says_of_the_number_of_images_is_kept(node: Node) -> None:
    node.receive(received(1), received(2))
    job = node.only_open()
    assert job.expected_images is None
    node.series.expect(job.id, 160)
    assert node.only_open().expected_images == 160
    assert node.book.job(job.id).expected_images == 160


def test_an_administrator_reads_in_one_word_how_complete_a_job_is(node: Node) -> None:
    node.receive(received(1), received(2))
    job = node.only_open()

    def word() -> str:
        return node.book.job(job.id).completeness

    assert word() == "receiving"
    node.series.set_waiting(job.id, "incomplete: 1 slice missing at z=6 mm")
    assert word() == "incomplete"
    node.series.set_waiting(job.id, "for series of MR in this study: 0 of 1 here")
    assert word() == "waiting"
    assert node.close_series(job) is CloseOutcome.QUEUED
    assert word() == "complete"


def test_a_series_refused_as_incomplete_is_still_said_to_be(node: Node) -> None:
    node.receive(received(1))
    job = node.only_open()
    node.series.refuse(job, "incomplete: 40 slices missing")
    assert node.book.job(job.id).completeness == "incomplete"


def test_the_note_of_an_order_stands_in_the_history(node: Node) -> None:
    node.receive(received(1))
    order = ContouringOrder(
        rule="hn", model="hn_oar", model_version=1, priority=50, note="1 localizer set aside"
    )
    assert node.series.close_series(node.only_open(), order) is CloseOutcome.QUEUED
    assert node.book.events(1)[-1].message == "1 images, rule hn, model hn_oar 1; 1 localizer set aside"


def test_the_series_of_a_study_are_told_with_what_became_of_them(node: Node) -> None:
    node.receive(received(1, series="1.2.3.7"), received(2, series="1.2.3.7"))
    node.receive(received(1, series="1.2.3.8"), received(1, series="1.2.3.9", sop_class=RT_DOSE))
    assert node.close_series(next(job for job in node.series.open_jobs() if job.series_uid == "1.2.3.7"))
    found = {series.series_uid: series for series in node.series.series_of_study("1.2.3")}
    assert [(s.modality, s.has_job, s.is_closed) for s in found.values()] == [
        ("CT", True, True),
        ("CT", True, False),
        ("RTDOSE", False, False),
    ]
    assert found["1.2.3.7"].last_received_at == node.clock.now
    node.receive(received(3, series="1.2.3.7"))
    again = {series.series_uid: series for series in node.series.series_of_study("1.2.3")}
    assert not again["1.2.3.7"].is_closed
    assert node.series.series_of_study("9.9") == []


def test_objects_of_a_series_that_are_no_ct_images_are_counted_apart(node: Node) -> None:
    node.receive(received(1), received(2, sop_class=RT_DOSE), received(3, sop_class=RT_DOSE))
    assert node.series.others_in_series("1.2.3", "1.2.3.7") == 2


def test_two_processes_that_open_a_series_at_once_open_one_version(database: Database) -> None:
    key = SeriesKey(series_uid="1.2.7", study_uid="1.2", called_aet="CN", calling_aet="CT1")
    opened: list[int] = []

    def open_it() -> None:
        with database.writing() as connection:
            opened.append(open_version(database, connection, key).id)

    other = threading.Thread(target=open_it)
    with database.writing() as connection:
        opened.append(open_version(database, connection, key).id)
        other.start()
        other.join(0.5)  # it waits for this transaction: on Postgres at its insert, on SQLite before it
    other.join(30)
    assert len(opened) == 2
    assert len(set(opened)) == 1

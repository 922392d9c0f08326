import pytest
from sqlalchemy import text

from service.store import CloseOutcome, EventKind, JobState, NotAllowed, RecordOutcome
from tests.support.arrivals import SERIES, Node, received

ENDED = {
    JobState.DONE,
    JobState.REFUSED,
    JobState.NOTHING_TO_CONTOUR,
    JobState.CANCELLED,
    JobState.SUPERSEDED,
}

RETRYABLE = {"retrying", "failed", "refused", "nothing_to_contour", "cancelled"}


@pytest.mark.parametrize("state", sorted(set(JobState) - ENDED))
def test_whatever_has_not_ended_can_be_cancelled(node: Node, state: JobState) -> None:
    job = node.job_in(state)
    node.changes.cancel(job, "wrong patient")
    assert (node.book.job(job).state, node.book.job(job).reason) == (JobState.CANCELLED, "wrong patient")
    node.clock.tick(10**6)
    assert node.claim() is None
    assert node.outbox.claim_delivery("s1", lease_s=60) is None
    assert node.series.open_jobs() == []


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_cannot_be_cancelled(node: Node, state: JobState) -> None:
    job = node.job_in(state)
    with pytest.raises(NotAllowed, match=rf"job {job} is {state} and cannot be cancelled"):
        node.changes.cancel(job)


@pytest.mark.parametrize(
    ("state", "goes_on_as"),
    [
        (JobState.RETRYING, JobState.QUEUED),
        (JobState.FAILED, JobState.QUEUED),
        (JobState.REFUSED, JobState.RECEIVING),
        (JobState.NOTHING_TO_CONTOUR, JobState.RECEIVING),
        (JobState.CANCELLED, JobState.RECEIVING),
    ],
)
def test_retry_goes_on_where_the_job_stood(node: Node, state: JobState, goes_on_as: JobState) -> None:
    job = node.job_in(state)
    before = node.book.job(job)
    assert node.changes.retry(job) is goes_on_as
    status = node.book.job(job)
    assert (status.state, status.reason, status.attempts) == (goes_on_as, "", 0)
    assert (status.uid, status.version) == (before.uid, before.version)
    if goes_on_as is JobState.QUEUED:
        assert node.claimed().attempt == 1


@pytest.mark.parametrize("state", sorted(set(JobState) - RETRYABLE))
def test_nothing_else_can_be_tried_again(node: Node, state: JobState) -> None:
    job = node.job_in(state)
    with pytest.raises(
        NotAllowed, match="only one that is cancelled, failed, nothing_to_contour, refused, retrying can"
    ):
        node.changes.retry(job)


def test_a_job_that_a_newer_version_replaced_cannot_be_tried_again(node: Node) -> None:
    job = node.job_in(JobState.REFUSED)
    node.receive(received(3))
    with pytest.raises(NotAllowed, match=rf"job {node.only_open().id} took its place"):
        node.changes.retry(job)


@pytest.mark.parametrize(
    "state", [JobState.DONE, JobState.FAILED, JobState.REFUSED, JobState.NOTHING_TO_CONTOUR]
)
def test_rerun_contours_the_same_images_as_a_new_version(node: Node, state: JobState) -> None:
    old = node.job_in(state)
    new = node.changes.rerun(old)
    status = node.book.job(new)
    assert (status.version, status.state, status.slice_count) == (2, JobState.RECEIVING, 2)
    assert status.uid != node.book.job(old).uid
    assert node.book.job(old).superseded_by == new
    assert node.close_series() is CloseOutcome.QUEUED
    assert node.finish(node.claimed())
    assert node.receive(received(1)) == [RecordOutcome.DUPLICATE]
    with pytest.raises(NotAllowed):
        node.changes.rerun(old)


def test_a_rerun_of_what_is_under_way_or_unknown_is_not_allowed(node: Node) -> None:
    job = node.job_in(JobState.RUNNING)
    with pytest.raises(NotAllowed, match="is running and cannot be run again"):
        node.changes.rerun(job)
    for order in (node.changes.cancel, node.changes.retry, node.changes.rerun, node.book.job):
        with pytest.raises(NotAllowed, match="there is no job 4711"):
            order(4711)


def test_lists_are_newest_first_and_can_be_narrowed(node: Node) -> None:
    for series in ("1.1", "1.2", "1.3"):
        node.receive(received(1, series=series))
    node.changes.cancel(1)
    assert [job.id for job in node.book.list_jobs()] == [3, 2, 1]
    assert [job.id for job in node.book.list_jobs(states=[JobState.CANCELLED])] == [1]
    assert [job.id for job in node.book.list_jobs(series_uid="1.2")] == [2]
    assert [job.id for job in node.book.list_jobs(limit=1)] == [3]


def test_the_history_of_a_job_has_every_state_it_was_in(node: Node) -> None:
    job = node.job_in(JobState.DONE)
    events = node.book.events(job)
    assert [(event.kind, event.from_state, event.to_state) for event in events] == [
        (EventKind.OPENED, None, JobState.RECEIVING),
        (EventKind.CLOSED, JobState.RECEIVING, JobState.QUEUED),
        (EventKind.CLAIMED, JobState.QUEUED, JobState.RUNNING),
        (EventKind.FINISHED, JobState.RUNNING, JobState.DELIVERING),
        (EventKind.SENT, JobState.DELIVERING, JobState.DELIVERING),
        (EventKind.DONE, JobState.DELIVERING, JobState.DONE),
    ]
    assert all(event.at == node.clock.now for event in events)


def test_the_view_can_be_read_with_plain_sql(node: Node) -> None:
    job = node.job_in(JobState.QUEUED)
    claim = node.claimed()
    node.finish(claim, "pacs", "tps")
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    node.outbox.retry_later(delivery, reason="connection refused", max_attempts=9, delay_s=9)
    with node.database.reading() as connection:
        row = connection.execute(text("SELECT * FROM job_status")).mappings().one()
    assert (row["job_id"], row["state"], row["sender"], row["slices"]) == (job, "delivering", "SCANNER", 2)
    assert row["series_uid"] == SERIES
    assert row["seconds_since_last_slice"] < 0  # the clock of this test runs in 2030
    assert "pending (connection refused)" in row["destinations"]
    assert row["destinations"].count("pending") == 2

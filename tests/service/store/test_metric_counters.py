from datetime import timedelta

import pytest
from sqlalchemy import delete, text

from service.store import Database, JobState, MetricCounters, late_jobs, read_queue_statistics
from service.store.monitoring import event_position
from service.store.monitoring.metric_counters import BOUNDS_S, bucket_of
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery, instance, instance_source, job, job_event
from tests.support.arrivals import RT_DOSE, Node, received


def add_all(database: Database) -> None:
    counters = MetricCounters(database)
    while counters.add_events() or counters.add_images():
        pass


def finished_job(node: Node) -> int:
    """A job whose every step took a different time.

    7 s quiet, 3 s queued, 2 s reading, 40 s contouring, 4 s sending.
    """
    node.receive(received(1), received(2))
    node.clock.tick(7)
    node.close_series()
    node.clock.tick(3)
    claim = node.claimed()
    node.work.stage(claim, "read")
    node.clock.tick(2)
    node.work.stage(claim, "predict")
    node.clock.tick(40)
    assert node.finish(claim)
    node.clock.tick(4)
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    assert node.outbox.sent(delivery)
    return claim.id


def test_every_stage_and_the_whole_way_are_timed_by_rule(node: Node) -> None:
    finished_job(node)
    add_all(node.database)
    figures = read_queue_statistics(node.database)
    stages = {(line.label, line.detail): line for line in figures.stages}
    assert {key: line.sum_s for key, line in stages.items()} == {
        ("hn", "quiet"): 7,
        ("hn", "queued"): 3,
        ("hn", "read"): 2,
        ("hn", "predict"): 40,
        ("hn", "sending"): 4,
    }
    assert sum(stages["hn", "predict"].buckets) == 1
    assert stages["hn", "predict"].buckets[BOUNDS_S.index(60)] == 1
    (latency,) = figures.latencies
    assert (latency.label, latency.sum_s, sum(latency.buckets)) == ("hn", 7 + 3 + 2 + 40 + 4, 1)


def test_counts_are_added_once_however_often_and_by_however_many(node: Node) -> None:
    finished_job(node)
    node.receive(received(1, series="1.9", sop_class=RT_DOSE))
    add_all(node.database)
    other = Database(
        node.database._engine.url.render_as_string(hide_password=False),
        clock=node.clock,
        monotonic=node.clock.monotonic,
    )
    add_all(other)
    other.close()
    figures = read_queue_statistics(node.database)
    assert figures.images == (("ct", 2, 1000), ("other", 1, 500))
    assert ("hn", "done", 1) in figures.events
    assert ("", "opened", 1) in figures.events
    assert figures.attempts == (("tps", "sent", 1),)


def test_counts_outlive_the_jobs_they_came_from(node: Node) -> None:
    finished_job(node)
    add_all(node.database)
    before = read_queue_statistics(node.database)
    with node.database.writing() as connection:
        for table in (job_event, delivery, artifact, instance_source, job):
            connection.execute(delete(table))
    add_all(node.database)
    after = read_queue_statistics(node.database)
    assert (after.events, after.stages, after.latencies) == (before.events, before.stages, before.latencies)
    node.job_in(JobState.DONE, series="1.2.3.8")
    add_all(node.database)
    assert ("hn", "done", 2) in read_queue_statistics(node.database).events


def test_a_rerun_is_timed_from_its_order_not_from_the_old_slices(node: Node) -> None:
    first = finished_job(node)
    node.clock.tick(100_000)
    node.changes.rerun(first)
    node.close_series()
    claim = node.claimed()
    assert node.finish(claim)
    node.clock.tick(5)
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    node.outbox.sent(delivery)
    add_all(node.database)
    (latency,) = read_queue_statistics(node.database).latencies
    assert latency.sum_s == 56 + 5


def test_what_is_told_aside_ends_no_stage(node: Node) -> None:
    node.receive(received(1))
    node.close_series()
    claim = node.claimed()
    node.work.stage(claim, "predict")
    node.clock.tick(20)
    node.receive(received(1))  # sent again
    node.clock.tick(20)
    assert node.finish(claim)
    add_all(node.database)
    (contouring,) = [line for line in read_queue_statistics(node.database).stages if line.detail == "predict"]
    assert contouring.sum_s == 40


def test_failed_attempts_are_counted_by_destination(node: Node) -> None:
    node.job_in(JobState.DELIVERING)
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    node.outbox.retry_later(delivery, reason="no connection", max_attempts=9, delay_s=0)
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    node.outbox.rejected(delivery, reason="0xA900")
    add_all(node.database)
    assert read_queue_statistics(node.database).attempts == (("tps", "failed", 1), ("tps", "rejected", 1))


def test_the_queue_is_counted_by_state_and_rule_with_the_age_of_its_oldest(node: Node) -> None:
    began = node.clock.now
    node.job_in(JobState.DONE, series="1.2.8.1")  # counted by its events, not here
    for number, state in enumerate((JobState.RUNNING, JobState.QUEUED, JobState.QUEUED)):
        node.job_in(state, series=f"1.2.{number}.1")
        node.clock.tick(10)
    node.receive(received(1, series="1.2.9.1"))
    jobs = {
        (line.state, line.rule): (line.count, line.oldest_at)
        for line in read_queue_statistics(node.database).jobs
    }
    assert jobs == {
        (JobState.RUNNING, "hn"): (1, began),
        (JobState.QUEUED, "hn"): (2, began + timedelta(seconds=10)),
        (JobState.RECEIVING, ""): (1, began + timedelta(seconds=30)),
    }


def test_jobs_are_late_while_they_are_on_their_way(node: Node) -> None:
    node.job_in(JobState.DONE, series="1.2.2.1")
    late = node.job_in(JobState.DELIVERING, series="1.2.1.1")
    node.clock.tick(100)
    node.job_in(JobState.QUEUED, series="1.2.3.1")
    before = node.clock.now - timedelta(seconds=60)
    assert [one.id for one in late_jobs(node.database, "hn", before)] == [late]
    assert late_jobs(node.database, "other", before) == []


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0, "0.1"), (0.1, "0.1"), (0.11, "0.5"), (60, "60"), (86400, "86400"), (86401, "+Inf")],
)
def test_a_duration_is_counted_under_the_smallest_bound_that_is_not_below_it(
    seconds: float, bound: str
) -> None:
    assert bucket_of(seconds) == bound


@pytest.mark.database
def test_a_number_that_commits_late_is_not_missed(node: Node) -> None:
    """Postgres shows number 8 before number 7 when 7's transaction is longer; SQLite cannot."""
    if node.database._engine.dialect.name != "postgresql":
        return
    job_id = node.job_in(JobState.QUEUED)
    add_all(node.database)
    insert = text(
        "INSERT INTO job_event (job_id, at, kind, to_state, message) VALUES (:job, :at, 'waiting', 'queued', '')"
    )
    values = {"job": job_id, "at": node.clock.now}

    def held() -> float:
        add_all(node.database)
        return sum(
            count for _, kind, count in read_queue_statistics(node.database).events if kind == "waiting"
        )

    with node.database._engine.connect() as slow:
        slow.execute(insert, values)
        with node.database.writing() as quick:
            quick.execute(insert, values)
        assert held() == 0  # the quick one is seen, and waits for the slow one before it
        slow.commit()
    assert held() == 2
    with node.database._engine.connect() as never:
        never.execute(insert, values)
        never.rollback()
    with node.database.writing() as quick:
        quick.execute(insert, values)
    assert held() == 2
    node.clock.tick(61)
    assert held() == 3


def test_images_of_two_looks_are_added_once_each(node: Node) -> None:
    node.receive(received(1), received(2))
    counters = MetricCounters(node.database)
    assert not counters.add_images()
    node.receive(received(3))
    for _ in range(3):
        counters.add_images()
    assert sum(count for _, count, _ in read_queue_statistics(node.database).images) == 3


def test_a_reader_is_behind_until_it_has_read_the_newest_row(node: Node) -> None:
    counters = MetricCounters(node.database)

    def behind() -> bool:
        with node.database.reading() as connection:
            return event_position.is_behind(connection, "metric images", instance)

    assert not behind()
    node.receive(received(1))
    assert behind()
    counters.add_images()
    assert not behind()

"""A clock that is set, ahead or back, while jobs and deliveries are leased or wait: nothing is done twice or stalls."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from service.errors import Refused
from service.store import (
    Accounts,
    Invitation,
    JobState,
    NotificationQueue,
    Outbox,
    RetentionStore,
    Sessions,
    WorkQueue,
    accept_invitation,
    invite,
)
from service.store.monitoring import event_position
from service.store.monitoring.notification_queue import Alarm
from service.store.tables.schema import job_event
from service.store.tables.web_schema import web_session
from service.store.web.accounts import is_waiting
from tests.support.arrivals import Node, received

DAY_S = 86400.0
STEPS = [31 * DAY_S, 3600.0, 90.0, -90.0, -3600.0, -31 * DAY_S]


@pytest.mark.parametrize("step_s", STEPS)
def test_a_job_whose_worker_lives_stays_its_own_and_one_of_a_dead_worker_goes_on(
    node: Node, step_s: float
) -> None:
    other = WorkQueue(node.database)  # another process, which looks once a second as this one does
    assert other.claim("w2", lease_s=60, max_attempts=3) is None
    job = node.job_in(JobState.QUEUED)
    claim = node.claimed()
    for moment in range(12):
        if moment == 4:
            node.clock.step(step_s)
        assert other.claim("w2", lease_s=60, max_attempts=3) is None
        node.clock.tick(15)
        assert other.claim("w2", lease_s=60, max_attempts=3) is None
        assert node.work.heartbeat(claim, lease_s=60)
    node.clock.step(step_s)  # and then the worker dies
    assert other.claim("w2", lease_s=60, max_attempts=3) is None
    node.clock.tick(60)
    again = other.claim("w2", lease_s=60, max_attempts=3)
    assert again is not None
    assert (again.id, again.attempt) == (job, 2)
    assert not node.finish(claim)


@pytest.mark.parametrize("step_s", STEPS)
def test_an_object_that_is_being_sent_is_not_sent_by_another_sender_too(node: Node, step_s: float) -> None:
    other = Outbox(node.database)
    assert other.claim_delivery("s2", lease_s=60) is None
    node.job_in(JobState.DELIVERING)
    claim = node.outbox.claim_delivery("s1", lease_s=60)
    assert claim is not None
    assert other.claim_delivery("s2", lease_s=60) is None
    node.clock.step(step_s)
    for _ in range(4):
        assert other.claim_delivery("s2", lease_s=60) is None
        node.clock.tick(20)
        assert node.outbox.heartbeat(claim, lease_s=60)
    assert other.claim_delivery("s2", lease_s=60) is None
    node.clock.tick(60)
    again = other.claim_delivery("s2", lease_s=60)
    assert again is not None
    assert not node.outbox.sent(claim)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_set_back_ends_the_waits_of_jobs_and_deliveries(node: Node, is_restarted: bool) -> None:
    node.job_in(JobState.DELIVERING)
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    assert node.outbox.retry_later(delivery, reason="away", max_attempts=9, delay_s=1800)
    node.job_in(JobState.QUEUED, series="1.2.8")
    assert node.work.fail(node.claimed(), reason="broken pipe", max_attempts=3, delay_s=600)
    assert node.claim() is None
    assert node.outbox.claim_delivery("s1", lease_s=60) is None
    node.clock.step(-3600)
    work, outbox = (
        (WorkQueue(node.database), Outbox(node.database)) if is_restarted else (node.work, node.outbox)
    )
    claim = work.claim("w1", lease_s=60, max_attempts=3)
    assert claim is not None
    assert work.fail(claim, reason="broken pipe", max_attempts=9, delay_s=600)
    assert work.claim("w1", lease_s=60, max_attempts=3) is None  # the next wait is as long as any
    if not is_restarted:  # a line of the new time is the newest now: only who lived through the step knows
        assert outbox.claim_delivery("s1", lease_s=60) is not None
    node.clock.tick(600)
    assert work.claim("w1", lease_s=60, max_attempts=3) is not None


def test_jobs_queued_while_the_clock_was_ahead_keep_their_turn(node: Node) -> None:
    node.clock.step(31 * DAY_S)
    first = node.job_in(JobState.QUEUED)
    node.clock.step(-31 * DAY_S)
    node.job_in(JobState.QUEUED, series="1.2.8")
    assert node.claimed().id == first


def test_a_notification_is_told_whatever_the_clock_was(node: Node) -> None:
    board = NotificationQueue(node.database)
    board.begin()
    wanted = {"it": ["disk"]}
    node.clock.step(DAY_S)
    board.note_alarms([Alarm(subject="disk", event="disk", text="full")], wanted)
    board.not_sent(board.due("it", min_interval_s=60, limit=9), reason="away", delay_s=900)
    assert board.due("it", min_interval_s=60, limit=9) == []
    node.clock.step(-DAY_S)
    (due,) = board.due("it", min_interval_s=60, limit=9)
    node.clock.step(DAY_S)
    board.sent([due])
    node.clock.step(-DAY_S)
    board.note_alarms([], wanted)
    assert len(board.due("it", min_interval_s=60, limit=9)) == 1


def test_a_gap_in_the_history_is_waited_for_no_longer_than_its_patience(node: Node) -> None:
    job = node.job_in(JobState.QUEUED)
    with node.database.writing() as connection:
        rows = connection.execute(select(job_event).order_by(job_event.c.id)).all()
        behind = {**rows[-1]._mapping, "id": rows[-1].id + 2, "job_id": job, "at": node.clock.now}
        connection.execute(insert(job_event).values(**behind))
        rows = connection.execute(select(job_event).order_by(job_event.c.id)).all()
    assert len(event_position.settled(rows, 0, job_event.c.at, node.clock.now)) == len(rows) - 1
    assert event_position.settled(rows, 0, job_event.c.at, node.clock.step(-DAY_S)) == rows


def test_what_was_verified_while_the_clock_was_ahead_is_verified_again(node: Node) -> None:
    keeper = RetentionStore(node.database)
    node.receive(received())
    node.clock.step(365 * DAY_S)
    (file,) = keeper.to_verify()
    assert keeper.checked(file, whole=True)
    node.clock.step(-365 * DAY_S)
    assert len(keeper.to_verify(node.clock.now - timedelta(days=30))) == 1


def test_a_file_marked_while_the_clock_was_ahead_is_left_until_its_time(node: Node) -> None:
    keeper, now = RetentionStore(node.database), node.clock.now
    with node.database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO removal (path, marked_at) VALUES ('objects/a.dcm', '2030-02-02 00:00:00')"
        )
    assert now.year == 2030
    assert keeper.to_unlink() == []
    node.clock.tick(31 * DAY_S)
    assert [path for path, _ in keeper.to_unlink()] == ["objects/a.dcm"]


def test_a_session_used_while_the_clock_was_ahead_has_ended_and_nobody_waits_for_longer_than_an_hour(
    node: Node,
) -> None:

    ends_at = node.clock.now + timedelta(minutes=15)
    invitation = Invitation(
        name="ada", role="admin", sees_patients=False, secret_sha256="ab" * 32, ends_at=ends_at
    )
    with node.database.writing() as connection:
        invite(node.database, connection, invitation)
    node.clock.step(-3600)  # the link would last for 75 minutes
    with pytest.raises(Refused), node.database.writing() as connection:
        accept_invitation(node.database, connection, "ab" * 32, "hash")
    node.clock.step(3600)
    with node.database.writing() as connection:
        user = accept_invitation(node.database, connection, "ab" * 32, "hash")
    sessions, accounts = Sessions(node.database), Accounts(node.database)
    node.clock.step(DAY_S)
    sessions.open(user, "cd" * 32, "10.0.0.1")
    until = [accounts.failed(user) for _ in range(9)][-1]
    assert sessions.find("cd" * 32) is not None
    assert is_waiting(until, node.clock.now)
    node.clock.step(-DAY_S)
    assert sessions.find("cd" * 32) is None
    assert sessions.numbers() == {}
    assert not is_waiting(until, node.clock.now)
    sessions.open(user, "ef" * 32, "10.0.0.1")
    with node.database.reading() as connection:
        assert len(connection.execute(select(web_session)).all()) == 1

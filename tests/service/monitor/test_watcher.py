import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from service.config import Settings
from service.monitor.alarms import alarms
from service.monitor.heartbeat_thread import HeartbeatThread
from service.monitor.metrics import metrics_page
from service.monitor.monitor import Monitor, read_node_status
from service.monitor.pages import StatusPages
from service.store import Database, Heartbeats, JobState, NotificationQueue, write_constancy
from service.store.tables.schema import instance
from tests.service.monitor.conftest import Watched
from tests.support.arrivals import received
from tests.support.destinations import VERIFICATION, Behaviour, Destination

EVERYTHING = [{"name": "physics", "min_interval_s": 0, "webhook": {"url": "http://127.0.0.1:9/"}}]
ROLES = ("receive", "assemble", "work", "send", "retention")


def told(watched: Watched) -> list[tuple[str, str]]:
    notifications = NotificationQueue(watched.node.database).due("physics", min_interval_s=0, limit=100)
    return [(one.event, one.text) for one in notifications]


def beat(watched: Watched, roles: tuple[str, ...] = ROLES) -> None:
    for role in roles:
        Heartbeats(watched.node.database).beat(role)


def test_a_node_is_ready_when_everything_that_it_needs_is_there(watched: Watched) -> None:
    beat(watched)
    view = watched.monitor().poll_once()
    assert {check.name: check.ok for check in view.checks} == {
        "database": True,
        "storage": True,
        "disk": True,
        "disk reserve": True,
        "receiver": True,
        "model server": True,
        "images refused": True,
        "recovery": True,
        "clock": True,
        "rules": True,
        **{f"role {role}": True for role in ROLES},
    }
    assert view.is_ready


def test_a_role_that_is_silent_is_down_and_the_node_not_ready(watched: Watched) -> None:
    beat(watched)
    watched.clock.tick(61)
    beat(watched, ("receive", "assemble", "work", "retention"))
    view = watched.monitor().poll_once()
    assert not view.is_ready
    assert view.check("role send").reason == "no heartbeat for 61 s; is `contour-node send` running?"
    assert [check.name for check in view.checks if not check.ok] == ["role send"]


@pytest.mark.parametrize("silent_s", [0, 61, 86400])
def test_a_heartbeat_of_a_role_that_has_another_name_now_raises_no_alarm(
    watched: Watched, silent_s: float
) -> None:
    """Rows that the roles ``keep`` and ``watch`` left behind before an upgrade."""
    beat(watched, ("keep", "watch"))
    watched.clock.tick(silent_s)
    beat(watched)
    settings = watched.settings()
    view = watched.monitor().poll_once()
    assert view.is_ready
    assert list(alarms(settings, view, ())) == []
    if silent_s > settings.advanced.silent_s:
        page = metrics_page(settings, view).decode()
        assert 'role="retention"' in page
        assert 'role="keep"' not in page


def test_a_storage_folder_that_is_gone_or_full_is_said(watched: Watched) -> None:
    beat(watched)
    full = Monitor(watched.parts(watched.settings(), refuse_below_bytes=1 << 50)).poll_once()
    assert [check.name for check in full.checks if not check.ok] == ["disk", "disk reserve"]
    assert "new objects are refused" in full.check("disk").reason
    watched.folder.rmdir()
    gone = watched.monitor().poll_once()
    assert not gone.is_ready
    assert "No such file" in gone.check("storage").reason


def test_frozen_cases_that_changed_are_an_alarm_until_the_next_good_check(watched: Watched) -> None:
    beat(watched)
    monitor = watched.monitor(notify=[{**EVERYTHING[0], "events": ["constancy"]}], silent_s=30)
    assert "constancy" not in {check.name for check in monitor.poll_once().checks}
    write_constancy(watched.folder, ok=False, reason="7 voxels of 1 structures changed")
    view = monitor.poll_once()
    assert not view.check("constancy").ok
    assert view.is_ready, "a node whose contours changed still takes images"
    watched.clock.tick(31)
    beat(watched)
    monitor.poll_once()
    ((event, text),) = told(watched)
    assert event == "constancy"
    assert text.endswith("UTC: 7 voxels of 1 structures changed")
    write_constancy(watched.folder, ok=True, reason="as before")
    monitor.poll_once()
    assert [one for one, _ in told(watched)] == ["constancy", "constancy"]
    assert told(watched)[1][1].startswith("over: constancy")


def test_a_constancy_record_that_cannot_be_read_is_a_failed_check(watched: Watched) -> None:
    beat(watched)
    (watched.folder / "constancy.json").write_text("{")
    check = watched.monitor().poll_once().check("constancy")
    assert not check.ok
    assert "run `contour-node constancy`" in check.reason


def test_a_database_that_is_away_is_seen_and_is_not_the_end(watched: Watched, tmp_path: Path) -> None:
    missing = Database(
        f"sqlite:///{tmp_path / 'no such folder' / 'node.sqlite'}",
        clock=watched.clock,
        monotonic=watched.clock.monotonic,
    )
    parts = watched.parts(watched.settings())
    monitor = Monitor(replace(parts, database=missing))
    view = monitor.poll_once()
    missing.close()
    assert not view.is_ready
    assert not view.check("database").ok
    assert view.database_status is None
    assert not monitor.prepared.is_set()


def test_a_look_without_the_role_changes_nothing(watched: Watched) -> None:
    beat(watched)
    watched.node.job_in(JobState.DONE)
    view = read_node_status(watched.parts(watched.settings()))
    assert view.is_ready
    assert view.database_status is not None
    assert view.database_status.figures.events == ()


def test_what_needs_a_person_is_told_with_job_rule_state_and_reason(watched: Watched) -> None:
    beat(watched)
    monitor = watched.monitor(notify=EVERYTHING)
    monitor.poll_once()
    failed = watched.node.job_in(JobState.FAILED, series="1.2.1")
    watched.node.job_in(JobState.REFUSED, series="1.2.2")
    watched.node.job_in(JobState.DONE, series="1.2.3")
    monitor.poll_once()
    assert told(watched) == [("failed", "attempt 1 of 1: broken"), ("refused", "no rule matches")]
    (first, _) = NotificationQueue(watched.node.database).due("physics", min_interval_s=0, limit=9)
    assert (first.job_id, first.rule, first.state) == (failed, "hn", "failed")


def test_only_what_a_recipient_asks_for_is_told(watched: Watched) -> None:
    beat(watched)
    monitor = watched.monitor(notify=[{**EVERYTHING[0], "events": ["disk"]}])
    monitor.poll_once()
    watched.node.job_in(JobState.FAILED)
    monitor.poll_once()
    assert told(watched) == []


def test_a_late_job_is_told_once_and_when_it_is_over(watched: Watched) -> None:
    monitor = watched.monitor(notify=EVERYTHING)
    look_for(watched, monitor, 60)
    job_id = watched.node.job_in(JobState.DELIVERING)
    look_for(watched, monitor, 600)
    assert told(watched) == []
    look_for(watched, monitor, 10)
    assert told(watched) == [("late", f"job {job_id} is delivering, 610 s after its last slice")]
    delivery = watched.node.outbox.claim_delivery("s", lease_s=60)
    assert delivery is not None
    watched.node.outbox.sent(delivery)
    look_for(watched, monitor, 30)
    assert told(watched)[1][1].startswith(f"over: job {job_id} is late (since ")
    assert len(told(watched)) == 2


def test_a_role_that_comes_back_at_once_is_nobodys_business_and_one_that_does_not_is(
    watched: Watched,
) -> None:
    monitor = watched.monitor(notify=EVERYTHING)
    look_for(watched, monitor, 70)
    for _ in range(9):  # silent for 61 to 90 s: down, but not for long
        watched.clock.tick(10)
        beat(watched, tuple(role for role in ROLES if role != "work"))
        monitor.poll_once()
    look_for(watched, monitor, 20)
    assert told(watched) == []
    for _ in range(14):
        watched.clock.tick(10)
        beat(watched, tuple(role for role in ROLES if role != "work"))
        monitor.poll_once()
    ((event, text),) = told(watched)
    assert (event, text[:27]) == ("role", "role work: no heartbeat for")


def test_a_restart_of_the_watch_neither_repeats_nor_ends_an_alarm(watched: Watched) -> None:
    watched.node.job_in(JobState.DELIVERING)
    watched.clock.tick(3000)
    look_for(watched, watched.monitor(notify=EVERYTHING), 90)
    before = told(watched)
    assert {event for event, _ in before} == {"late", "delivery"}
    look_for(watched, watched.monitor(notify=EVERYTHING), 200)
    assert told(watched) == before


def test_a_damaged_file_is_told_by_its_path(watched: Watched) -> None:
    watched.node.receive(received(1))
    monitor = watched.monitor(notify=EVERYTHING)
    with watched.node.database.writing() as connection:
        connection.execute(instance.update().values(damaged_at=watched.clock()))
    look_for(watched, monitor, 90)
    ((event, text),) = told(watched)
    assert event == "damaged"
    assert text.startswith("the stored file objects/")


def look_for(watched: Watched, monitor: Monitor, seconds: int) -> None:
    """Every role lives, and the monitor looks every ten seconds."""
    for _ in range(seconds // 10):
        watched.clock.tick(10)
        beat(watched)
        monitor.poll_once()


def test_the_pages_give_the_last_look_and_say_when_it_is_old(watched: Watched) -> None:
    beat(watched)
    monitor = watched.monitor()
    pages = StatusPages(settings=watched.settings(), last_view=lambda: monitor.view, clock=watched.clock)
    assert pages.answer("/health/live", "").status is HTTPStatus.OK
    assert pages.answer("/health/ready", "").status is HTTPStatus.SERVICE_UNAVAILABLE
    assert pages.answer("/metrics", "").status is HTTPStatus.SERVICE_UNAVAILABLE
    monitor.poll_once()
    ready = pages.answer("/health/ready", "")
    assert ready.status is HTTPStatus.OK
    report = json.loads(ready.body)
    assert report["ready"]
    assert {"name": "database", "ok": True, "needed": True, "reason": "answers"} in report["checks"]
    watched.clock.tick(91)
    old = pages.answer("/health/ready", "")
    assert old.status is HTTPStatus.SERVICE_UNAVAILABLE
    assert json.loads(old.body)["reason"] == "the last poll was 91 s ago: the monitor hangs"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("", 401),
        ("Bearer", 401),
        ("Bearer secre", 401),
        ("Basic secret", 401),
        ("Bearer \xff", 401),
        ("bearer secret", 200),
    ],
)
def test_a_token_guards_all_but_the_sign_of_life(watched: Watched, given: str, status: int) -> None:
    beat(watched)
    view = watched.monitor().poll_once()
    pages = StatusPages(
        settings=watched.settings(), last_view=lambda: view, clock=watched.clock, token="secret"
    )
    assert pages.answer("/metrics", given).status == status
    assert pages.answer("/health/ready", given).status == status
    assert pages.answer("/health/live", given).status == 200


def test_a_process_beats_while_it_lives_and_takes_its_sign_away_when_it_ends_in_order(
    watched: Watched,
) -> None:
    heartbeats = Heartbeats(watched.node.database)
    beaten = threading.Event()

    class Seen(Heartbeats):
        def beat(self, role: str) -> None:
            super().beat(role)
            beaten.set()

    with HeartbeatThread(Seen(watched.node.database), "work", every_s=3600):
        assert beaten.wait(30)
        ((sign),) = heartbeats.all()
        assert (sign.role, sign.host, sign.pid) == ("work", socket.gethostname(), os.getpid())
    assert heartbeats.all() == []
    beaten.clear()
    with pytest.raises(RuntimeError):
        die_with(HeartbeatThread(Seen(watched.node.database), "work", every_s=3600), beaten)
    assert [one.role for one in heartbeats.all()] == ["work"]


def die_with(pulse: HeartbeatThread, beaten: threading.Event) -> None:
    with pulse:
        assert beaten.wait(30)
        raise RuntimeError


def test_the_receiver_is_asked_where_it_listens(
    watched: Watched, start_destination: Callable[[Behaviour], Destination], free_port: int
) -> None:
    tree = watched.settings().model_dump()
    answering = start_destination(Behaviour(sop_class=VERIFICATION)).peer
    tree["receive"] |= {"port": answering.port, "ae_title": answering.ae_title}
    seen = Monitor(watched.parts(Settings.model_validate(tree))).poll_once().check("receiver")
    assert (seen.ok, seen.reason) == (True, f"127.0.0.1:{answering.port} answers a C-ECHO")
    tree["receive"] |= {"port": free_port}
    gone = Monitor(watched.parts(Settings.model_validate(tree))).poll_once().check("receiver")
    assert (gone.ok, "no connection" in gone.reason) == (False, True)

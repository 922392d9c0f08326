"""A clock that is set while the monitor looks: no alarm that is none, and none that is missed."""

import pytest

from service.store import Heartbeats
from tests.service.monitor.conftest import Watched
from tests.service.monitor.test_watcher import EVERYTHING, ROLES, beat, told

HOUR_S = 3600.0


def test_a_clock_set_ahead_is_no_alarm_before_the_roles_could_beat_again(watched: Watched) -> None:
    monitor = watched.monitor(notify=EVERYTHING)
    for _ in range(8):
        beat(watched)
        monitor.poll_once()
        watched.clock.tick(10)
    watched.clock.step(HOUR_S)
    monitor.poll_once()  # every heartbeat is an hour old
    watched.clock.tick(10)
    beat(watched)
    monitor.poll_once()
    assert [event for event, _ in told(watched) if event == "role"] == []


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_a_role_that_died_is_told_of_whatever_the_clock_is_set_to(watched: Watched, step_s: float) -> None:
    monitor = watched.monitor(notify=EVERYTHING)
    beat(watched)
    monitor.poll_once()
    watched.clock.step(step_s)
    alive = tuple(role for role in ROLES if role != "send")
    for _ in range(16):
        beat(watched, alive)
        view = monitor.poll_once()
        watched.clock.tick(10)
    assert {check.name for check in view.checks if not check.ok and check.name.startswith("role")} == {
        "role send"
    }
    (text,) = [text for event, text in told(watched) if event == "role"]
    assert "role send" in text
    assert len(Heartbeats(watched.node.database).all()) == len(ROLES) + 1  # the monitor's own

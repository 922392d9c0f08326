"""Waits that a clock which is set neither ends nor prolongs."""

import pytest

from service.assemble.silence import SilenceWatch
from service.store import JobState
from tests.support.clock import ManualClock
from tests.support.small_node import SmallNode

DAY_S = 86400.0


def watch(clock: ManualClock, *, is_clock_doubtful: bool = False) -> SilenceWatch:
    return SilenceWatch(clock=clock, monotonic=clock.monotonic, is_clock_doubtful=lambda: is_clock_doubtful)


@pytest.mark.parametrize("step_s", [31 * DAY_S, -31 * DAY_S, 3600.0, -3600.0, 0.0])
def test_a_silence_is_the_time_that_passed_whatever_the_clock_was_set_to(step_s: float) -> None:
    clock = ManualClock()
    silence, came = watch(clock), clock.now
    silence.look()
    assert silence.of("job", came).total_seconds() == 0
    clock.tick(4)
    clock.step(step_s)
    clock.tick(5)
    silence.look()
    assert silence.of("job", came).total_seconds() == 9


@pytest.mark.parametrize("step_s", [31 * DAY_S, -31 * DAY_S])
def test_an_image_that_came_between_two_looks_is_no_older_than_the_first(step_s: float) -> None:
    clock = ManualClock()
    silence = watch(clock)
    silence.look()
    clock.tick(1)
    came = clock.now
    clock.step(step_s)
    clock.tick(2)
    silence.look()
    assert 0 <= silence.of("job", came).total_seconds() <= 3


def test_a_restart_believes_the_clock_unless_something_speaks_against_it() -> None:
    clock = ManualClock()
    came = clock.tick(100)
    clock.tick(60)
    for doubtful, expected in ((False, 60), (True, 0)):
        silence = watch(clock, is_clock_doubtful=doubtful)
        silence.look()
        assert silence.of("job", came).total_seconds() == expected


def test_an_image_from_the_future_has_no_negative_age_and_waits_no_longer(small_node: SmallNode) -> None:
    """It was received while the clock was a day ahead; the clock was put right, and the assembler started again."""
    node, clock = small_node, small_node.clock
    clock.step(DAY_S)
    node.receive()
    clock.step(-DAY_S)
    assembler = node.assembler()
    assembler.poll_once()
    assert node.job().state is JobState.RECEIVING
    clock.tick(10)
    assembler.poll_once()
    assert node.job().state is JobState.QUEUED


def test_a_clock_that_jumps_ahead_does_not_close_a_growing_series(small_node: SmallNode) -> None:
    node, clock = small_node, small_node.clock
    node.receive(only=slice(0, 5))
    assembler = node.assembler()
    assembler.poll_once()
    clock.step(31 * DAY_S)
    assembler.poll_once()
    assert node.job().state is JobState.RECEIVING
    clock.tick(9)
    node.receive(only=slice(5, None))
    assembler.poll_once()
    assert node.job().state is JobState.RECEIVING
    clock.tick(10)
    assembler.poll_once()
    assert node.job().state is JobState.QUEUED


def test_a_series_that_was_not_asked_for_at_a_look_is_as_if_seen_first() -> None:
    """It is no older than the look before: what its silence was is forgotten, so that nothing is kept for ever."""
    clock = ManualClock()
    silence, came = watch(clock), clock.now
    silence.look()
    for asked, expected in ((True, 0), (True, 5), (False, None), (True, 5), (True, 10)):
        if asked:
            assert silence.of("job", came).total_seconds() == expected
        clock.tick(5)
        silence.look()


def test_another_image_begins_the_silence_anew() -> None:
    clock = ManualClock()
    silence, came = watch(clock), clock.now
    silence.look()
    silence.of("job", came)
    clock.tick(30)
    silence.look()
    assert silence.of("job", clock.now).total_seconds() == 0
    assert silence.of("other", came).total_seconds() == 30

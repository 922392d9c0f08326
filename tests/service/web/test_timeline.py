from datetime import UTC, datetime, timedelta

from service.store import EventKind, JobEvent, JobState
from service.web.timeline import stages_of

BEGIN = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
OPENED = (0.0, EventKind.OPENED, JobState.RECEIVING, "")
CLOSED = (10.0, EventKind.CLOSED, JobState.QUEUED, "120 images")
CLAIMED = (12.0, EventKind.CLAIMED, JobState.RUNNING, "worker a")


def history(*lines: tuple[float, EventKind, JobState, str]) -> list[JobEvent]:
    return [
        JobEvent(
            id=number,
            job_id=1,
            at=BEGIN + timedelta(seconds=at_s),
            kind=kind,
            from_state=None,
            to_state=state,
            message=message,
        )
        for number, (at_s, kind, state, message) in enumerate(lines)
    ]


def test_a_job_without_events_has_no_stage() -> None:
    assert stages_of([], BEGIN) == []


def test_what_was_noted_of_the_contouring_stands_there_although_it_is_written_behind_its_end() -> None:
    stages = stages_of(
        history(
            OPENED,
            CLOSED,
            CLAIMED,
            (13.0, EventKind.STAGE, JobState.RUNNING, "predict"),
            (20.0, EventKind.FINISHED, JobState.DELIVERING, "for tps"),
            (19.9, EventKind.NOTE, JobState.DELIVERING, "SpinalCord: the scan may cut it"),
            (21.0, EventKind.NOTE, JobState.DELIVERING, "tps warned: 0xB000"),
            (22.0, EventKind.SENT, JobState.DELIVERING, "tps"),
            (22.0, EventKind.DONE, JobState.DONE, ""),
        ),
        BEGIN + timedelta(hours=1),
    )
    assert [(stage.word, stage.length_s, stage.is_under_way, stage.is_bad) for stage in stages] == [
        ("received", 10, False, False),
        ("queued", 2, False, False),
        ("contoured", 8, False, False),
        ("delivered", 2, False, False),
    ]
    assert stages[2].notes == ("worker a", "predict", "SpinalCord: the scan may cut it")
    assert stages[3].notes == ("for tps", "tps warned: 0xB000", "tps")
    assert sum(stage.width_percent for stage in stages) == 100


def test_each_attempt_is_a_stage_and_the_one_under_way_ends_now() -> None:
    stages = stages_of(
        history(
            OPENED,
            CLOSED,
            CLAIMED,
            (15.0, EventKind.RETRYING, JobState.RETRYING, "the model server is gone"),
            (20.0, EventKind.CLAIMED, JobState.RUNNING, "worker b"),
            (23.0, EventKind.CLAIMED, JobState.RUNNING, "worker c"),
        ),
        BEGIN + timedelta(seconds=40),
    )
    assert [(stage.word, stage.length_s, stage.is_bad) for stage in stages[2:]] == [
        ("contoured", 3, True),
        ("waited for the next attempt", 5, False),
        ("contoured", 3, False),
        ("contouring", 17, False),
    ]
    assert stages[-1].is_under_way
    assert stages[-1].left_percent + stages[-1].width_percent == 100

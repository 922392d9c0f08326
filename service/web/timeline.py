"""A job's history as stages: what was done, from when to when, each attempt by its own stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.store import EventKind, JobEvent, JobState
from service.web.translation import marked

STAGES = {
    JobState.RECEIVING: marked("received"),
    JobState.WAITING: marked("waited"),
    JobState.QUEUED: marked("queued"),
    JobState.RUNNING: marked("contoured"),
    JobState.DELIVERING: marked("delivered"),
    JobState.RETRYING: marked("waited for the next attempt"),
}
UNDER_WAY = {
    JobState.RECEIVING: marked("receiving"),
    JobState.WAITING: marked("waiting"),
    JobState.QUEUED: marked("queued"),
    JobState.RUNNING: marked("contouring"),
    JobState.DELIVERING: marked("delivering"),
    JobState.RETRYING: marked("waiting for the next attempt"),
}


@dataclass(frozen=True, kw_only=True)
class TimelineStage:
    """A stage of a job: its name, its time, and what the history says of it. Lengths are in seconds."""

    word: str
    began_at: datetime
    length_s: float
    is_under_way: bool
    is_bad: bool  # the attempt ended badly
    notes: tuple[str, ...]
    left_percent: float  # where its bar begins, as a part of the job's total time
    width_percent: float


def stages_of(events: Sequence[JobEvent], now: datetime) -> list[TimelineStage]:
    """Return the stages of a job, oldest first, from its history.

    An event that changes the state ends a stage and begins the next; every other event is a note of its stage. A note
    that follows the beginning of a stage but is not later belongs to the stage before: notes on the contouring do so.

    Args:
        events: the job's, oldest first.
        now: ends the stage that is under way.
    """
    if not events:
        return []
    begin = events[0].at
    is_over = events[-1].to_state not in UNDER_WAY
    whole_s = max(((events[-1].at if is_over else now) - begin).total_seconds(), 0.001)
    parts: list[list[JobEvent]] = []
    for event in events:
        if event.kind is EventKind.NOTE and len(parts) > 1 and event.at <= parts[-1][0].at:
            parts[-2].append(event)
            continue
        if not parts or event.to_state is not parts[-1][0].to_state or event.kind is EventKind.CLAIMED:
            parts.append([])
        parts[-1].append(event)
    found: list[TimelineStage] = []
    for number, part in enumerate(parts):
        following = parts[number + 1][0] if number + 1 < len(parts) else None
        state = part[0].to_state
        if state not in STAGES:
            continue
        end = now if following is None else following.at
        length_s = max((end - part[0].at).total_seconds(), 0.0)
        found.append(
            TimelineStage(
                word=(UNDER_WAY if following is None else STAGES)[state],
                began_at=part[0].at,
                length_s=length_s,
                is_under_way=following is None,
                is_bad=following is not None
                and following.to_state in (JobState.RETRYING, JobState.FAILED, JobState.REFUSED),
                notes=tuple(event.message for event in part if event.message),
                left_percent=100 * min((part[0].at - begin).total_seconds() / whole_s, 1.0),
                width_percent=100 * min(length_s / whole_s, 1.0),
            )
        )
    return found

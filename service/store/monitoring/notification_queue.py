"""What people are to be notified of: recorded in the transaction that found it, and kept until it has been sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from service.config import JobPurpose
from service.store.database import Database
from service.store.monitoring import event_position
from service.store.states import EventKind
from service.store.tables.monitoring_schema import alarm, notification
from service.store.tables.schema import job, job_event

POSITION = "notifications"
EVENTS_AT_ONCE = 500
SENT_ARE_KEPT = timedelta(days=30)
LONGEST_DELAY_S = 900.0
"""Between two attempts to notify; what waits for longer was put off before the clock was set back."""


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A condition that needs a person for as long as it lasts; ``subject`` identifies it and stays the same."""

    subject: str
    event: str
    text: str
    job_id: int | None = None
    rule: str = ""


@dataclass(frozen=True, kw_only=True)
class Notification:
    """One notification of one recipient; it names no patient."""

    id: int
    event: str
    job_id: int | None
    rule: str
    state: str
    text: str
    at: datetime
    attempts: int


Wanted = Mapping[str, Collection[str]]  # the events that each recipient wants to be notified of


@dataclass(frozen=True, kw_only=True)
class _Message:
    """A notification without a recipient yet."""

    event: str
    text: str
    at: datetime
    job_id: int | None = None
    rule: str = ""
    state: str = ""


class NotificationQueue:
    """Notifications by recipient. Each is sent at least once: again, if it is not certain that it was sent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> None:
        """Notify of what happens from now on; a node that was watched before continues where it stopped."""
        with self._database.writing() as connection:
            newest = event_position.newest_id(connection, job_event)
            event_position.begin(self._database, connection, POSITION, newest)

    def note_events(self, events: Mapping[EventKind, str], wanted: Wanted) -> bool:
        """Record a notification for every new job event that somebody wants; True if more events may be waiting.

        Args:
            events: the name under which recipients ask for a kind of job event.
            wanted: what each recipient asks for.
        """
        with self._database.reading() as connection:
            if not event_position.is_behind(connection, POSITION, job_event):
                return False
        with self._database.writing() as connection:
            last = event_position.locked(connection, POSITION, job_event)
            query = (
                select(job_event, job.c.rule, job.c.purpose)
                .join(job, job.c.id == job_event.c.job_id)
                .where(job_event.c.id > last)
                .order_by(job_event.c.id)
                .limit(EVENTS_AT_ONCE)
            )
            rows = connection.execute(query).all()
            ready = event_position.settled(rows, last, job_event.c.at, self._database.clock())
            for row in ready:
                if row.kind in events and row.purpose is JobPurpose.CLINICAL:
                    _write(connection, _of_event(row, events[row.kind]), wanted)
            event_position.advance(connection, POSITION, ready[-1].id if ready else last)
        return len(ready) == EVENTS_AT_ONCE

    def note_alarms(self, now_wrong: Sequence[Alarm], wanted: Wanted) -> None:
        """Record a notification for each alarm that began since the last time, and for each that is over."""
        current = {one.subject[:200]: one for one in now_wrong}
        with self._database.reading() as connection:
            if set(connection.execute(select(alarm.c.subject)).scalars()) == current.keys():
                return
        now = self._database.clock()
        with self._database.writing() as connection:
            known = {row.subject: row for row in connection.execute(select(alarm).with_for_update())}
            for subject in sorted(current.keys() - known.keys()):
                one = current[subject]
                connection.execute(insert(alarm).values(subject=subject, event=one.event, began_at=now))
                began = _Message(event=one.event, text=one.text, at=now, job_id=one.job_id, rule=one.rule)
                _write(connection, began, wanted)
            for subject in sorted(known.keys() - current.keys()):
                row = known[subject]
                connection.execute(delete(alarm).where(alarm.c.subject == subject))
                since = row.began_at.isoformat(sep=" ", timespec="seconds")
                over = _Message(event=row.event, text=f"over: {subject} (since {since})", at=now)
                _write(connection, over, wanted)

    def due(self, target: str, *, min_interval_s: float, limit: int) -> list[Notification]:
        """Return the recipient's unsent notifications, oldest first.

        Empty while the last message was sent too recently, or the wait after a failure lasts.
        """
        now = self._database.clock()
        unsent = (notification.c.target == target, notification.c.sent_at.is_(None))
        with self._database.reading() as connection:
            rows = connection.execute(
                select(notification).where(*unsent).order_by(notification.c.id).limit(limit)
            ).all()
            last = connection.execute(
                select(func.max(notification.c.sent_at)).where(notification.c.target == target)
            ).scalar_one()
        longest = now + timedelta(seconds=LONGEST_DELAY_S)
        waits = any(row.not_before is not None and now < row.not_before <= longest for row in rows)
        too_soon = last is not None and now - timedelta(seconds=min_interval_s) < last <= now
        if waits or too_soon:
            return []
        return [
            Notification(
                id=row.id,
                event=row.event,
                job_id=row.job_id,
                rule=row.rule,
                state=row.state,
                text=row.text,
                at=row.at,
                attempts=row.attempts,
            )
            for row in rows
        ]

    def unsent(self) -> dict[str, int]:
        """Return the number of unsent notifications by recipient."""
        query = (
            select(notification.c.target, func.count())
            .where(notification.c.sent_at.is_(None))
            .group_by(notification.c.target)
        )
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def sent(self, notifications: Sequence[Notification]) -> None:
        """Record that the recipient has them."""
        self._update(notifications, {"sent_at": self._database.clock(), "reason": "", "not_before": None})

    def not_sent(self, notifications: Sequence[Notification], *, reason: str, delay_s: float) -> None:
        """Record why they were not sent; they are due again after ``delay_s``, as often as it takes."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        self._update(notifications, {"reason": reason, "not_before": later})

    def forget_old(self) -> None:
        """Remove what was sent long ago."""
        old = notification.c.sent_at < self._database.clock() - SENT_ARE_KEPT
        with self._database.reading() as connection:
            if connection.execute(select(notification.c.id).where(old).limit(1)).first() is None:
                return
        with self._database.writing() as connection:
            connection.execute(delete(notification).where(old))

    def _update(self, notifications: Sequence[Notification], values: Mapping[str, object]) -> None:
        ids = [one.id for one in notifications]
        with self._database.writing() as connection:
            connection.execute(
                update(notification)
                .where(notification.c.id.in_(ids))
                .values(**values, attempts=notification.c.attempts + 1)
            )


def _of_event(row: Row[Any], event: str) -> _Message:
    return _Message(
        event=event, text=row.message, at=row.at, job_id=row.job_id, rule=row.rule, state=row.to_state.value
    )


def _write(connection: Connection, message: _Message, wanted: Wanted) -> None:
    """Record the message for everybody who asks for its event."""
    rows = [
        {"target": target, **asdict(message)} for target, events in wanted.items() if message.event in events
    ]
    if rows:
        connection.execute(insert(notification), rows)

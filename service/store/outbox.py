"""The store as the room `send` sees it: deliveries."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from service.store.database import Database
from service.store.rows import ClaimedDelivery, StoredFile
from service.store.schema import delivery, job
from service.store.states import DeliveryState, EventKind, JobState
from service.store.transitions import Line, Move, lock, move, tell

DELIVERING = frozenset({JobState.DELIVERING})
UNDER_WAY = (DeliveryState.PENDING, DeliveryState.SENDING)


class Outbox:
    """Structure sets to be sent. Every write returns False, and changes nothing, when the lease is lost."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim_delivery(self, sender: str, *, lease_s: float) -> ClaimedDelivery | None:
        """Take the delivery that is due longest, of the most urgent job; or one whose sender went away."""
        if not self._anything_due():
            return None
        now = self._database.clock()
        with self._database.writing() as connection:
            _withdraw_abandoned(connection, now)
            row = connection.execute(
                select(delivery, job.c.uid)
                .join(job, job.c.id == delivery.c.job_id)
                .where(_due(now))
                .order_by(job.c.priority.desc(), delivery.c.created_at, delivery.c.id)
                .limit(1)
                .with_for_update(of=delivery, skip_locked=True)
            ).one_or_none()
            return None if row is None else _lease(connection, row, sender, now, lease_s)

    def heartbeat(self, claim: ClaimedDelivery, *, lease_s: float) -> bool:
        """Prolong the lease; False: do not begin to send, it is somebody else's or its job was ended.

        One that is being sent already may go on: sent() records it even if the job was ended meanwhile.
        """
        until = self._database.clock() + timedelta(seconds=lease_s)
        with self._database.writing() as connection:
            state = select(job.c.state).where(job.c.id == claim.job_id)
            held = _write(connection, claim, lease_expires_at=until)
            return held and connection.execute(state).scalar_one() is JobState.DELIVERING

    def sent(self, claim: ClaimedDelivery) -> bool:
        """Record the destination's success; the job is done when it was the last one."""
        now = self._database.clock()
        values = {"state": DeliveryState.SENT, "sent_at": now, "reason": ""}
        return self._close(claim, EventKind.SENT, claim.destination, values)

    def retry_later(self, claim: ClaimedDelivery, *, reason: str, max_attempts: int, delay_s: float) -> bool:
        """Try again after delay_s, or park the delivery after the last attempt."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        state = DeliveryState.PENDING if claim.attempt < max_attempts else DeliveryState.PARKED
        message = f"{claim.destination}, attempt {claim.attempt} of {max_attempts}: {reason}"
        values = {"state": state, "not_before": later, "reason": reason}
        return self._close(claim, EventKind.SEND_FAILED, message, values)

    def rejected(self, claim: ClaimedDelivery, *, reason: str) -> bool:
        """Never try again: the destination refused for good. The job is parked once no other is under way."""
        message = f"{claim.destination}: {reason}"
        return self._close(
            claim, EventKind.SEND_REJECTED, message, {"state": DeliveryState.REJECTED, "reason": reason}
        )

    def _anything_due(self) -> bool:
        """Look without taking SQLite's write lock, which an idle sender would take at every poll."""
        with self._database.reading() as connection:
            due = select(delivery.c.id).join(job, job.c.id == delivery.c.job_id)
            now = self._database.clock()
            return connection.execute(due.where(or_(_due(now), _abandoned(now))).limit(1)).first() is not None

    def _close(self, claim: ClaimedDelivery, kind: EventKind, message: str, values: dict[str, Any]) -> bool:
        """End the sender's hold on its delivery, tell the job, and move the job if this was its last one."""
        now = self._database.clock()
        with self._database.writing() as connection:
            row = lock(connection, claim.job_id)  # first, so that two last deliveries do not miss each other
            if row is None:
                return False
            if row.state is not JobState.DELIVERING and values["state"] is DeliveryState.PENDING:
                values = {**values, "state": DeliveryState.WITHDRAWN}  # the job was cancelled or superseded
            if not _write(connection, claim, lease_owner=None, lease_expires_at=None, **values):
                return False
            tell(connection, row.id, now, Line(kind=kind, source=row.state, to=row.state, message=message))
            _settle(connection, row, now)
            return True


def _due(now: datetime) -> ColumnElement[bool]:
    waits = and_(
        delivery.c.state == DeliveryState.PENDING,
        or_(delivery.c.not_before.is_(None), delivery.c.not_before <= now),
    )
    return and_(job.c.state == JobState.DELIVERING, or_(waits, _abandoned(now)))


def _abandoned(now: datetime) -> ColumnElement[bool]:
    return and_(delivery.c.state == DeliveryState.SENDING, delivery.c.lease_expires_at < now)


def _withdraw_abandoned(connection: Connection, now: datetime) -> None:
    """End the deliveries that nobody sends any more and nobody needs: their job was cancelled or superseded."""
    ended = select(job.c.id).where(job.c.id == delivery.c.job_id, job.c.state != JobState.DELIVERING)
    connection.execute(
        update(delivery)
        .where(_abandoned(now), ended.exists())
        .values(state=DeliveryState.WITHDRAWN, lease_owner=None, lease_expires_at=None)
    )


def _lease(
    connection: Connection, row: Row[Any], sender: str, now: datetime, lease_s: float
) -> ClaimedDelivery | None:
    changed = connection.execute(
        update(delivery)
        .where(delivery.c.id == row.id, delivery.c.state == row.state)
        .values(
            state=DeliveryState.SENDING,
            attempts=row.attempts + 1,
            not_before=None,
            lease_owner=sender,
            lease_number=row.lease_number + 1,
            lease_expires_at=now + timedelta(seconds=lease_s),
        )
    )
    if changed.rowcount == 0:
        return None
    return ClaimedDelivery(
        id=row.id,
        job_id=row.job_id,
        job_uid=row.uid,
        destination=row.destination,
        attempt=row.attempts + 1,
        result=StoredFile(path=row.path, size_bytes=row.size_bytes, sha256=row.sha256),
        sender=sender,
        lease_number=row.lease_number + 1,
    )


def _write(connection: Connection, claim: ClaimedDelivery, **values: Any) -> bool:
    changed = connection.execute(
        update(delivery)
        .where(
            delivery.c.id == claim.id,
            delivery.c.state == DeliveryState.SENDING,
            delivery.c.lease_owner == claim.sender,
            delivery.c.lease_number == claim.lease_number,
        )
        .values(**values)
    )
    return changed.rowcount == 1


def _settle(connection: Connection, row: Row[Any], now: datetime) -> None:
    """Move a job whose row is locked once none of its deliveries is under way: done, or parked with the reasons."""
    rows = connection.execute(
        select(delivery.c.destination, delivery.c.state, delivery.c.reason)
        .where(delivery.c.job_id == row.id)
        .order_by(delivery.c.destination)
    ).all()
    if any(one.state in UNDER_WAY for one in rows):
        return
    failed = [
        f"{one.destination} {one.state}: {one.reason}" for one in rows if one.state is not DeliveryState.SENT
    ]
    if failed:
        reason = "; ".join(failed)
        step = Move(to=JobState.PARKED, kind=EventKind.PARKED, sources=DELIVERING, message=reason)
        move(connection, row, step, now, reason=reason)
    else:
        step = Move(to=JobState.DONE, kind=EventKind.DONE, sources=DELIVERING)
        move(connection, row, step, now, reason="", delivered_at=now)

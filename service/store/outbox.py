"""The store as the room `send` sees it: deliveries."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from service.store.audit import audit_delivery
from service.store.database import Database
from service.store.rows import ClaimedDelivery, CommitmentReport, StoredFile
from service.store.schema import commitment, delivery, job
from service.store.settlement import settle
from service.store.states import FAILED_FOR_GOOD, DeliveryKind, DeliveryState, EventKind, JobState
from service.store.transitions import Line, lock, tell

_S = DeliveryState
WAITING = (_S.PENDING, _S.UNCONFIRMED)
LEASED = (_S.SENDING, _S.CONFIRMING)


class Outbox:
    """Objects to be sent. Every write returns False, and changes nothing, when the lease is lost."""

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
                select(delivery, job.c.uid, job.c.priority)
                .join(job, job.c.id == delivery.c.job_id)
                .where(_due(now))
                .order_by(func.coalesce(job.c.priority, 0).desc(), delivery.c.created_at, delivery.c.id)
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
            wanted = (
                select(delivery.c.id)
                .join(job, job.c.id == delivery.c.job_id)
                .where(delivery.c.id == claim.id, _wanted())
            )
            held = _write(connection, claim, lease_expires_at=until)
            return held and connection.execute(wanted).first() is not None

    def sent(self, claim: ClaimedDelivery, *, note: str = "", is_confirmed_later: bool = False) -> bool:
        """Record the destination's success and what it said; the job is done when it was the last one.

        With ``is_confirmed_later`` it is not: the delivery is claimed again to ask whether the object is kept. What
        could not reach the same destination is due at once, for it is back.
        """
        now = self._database.clock()
        state = _S.UNCONFIRMED if is_confirmed_later else _S.SENT
        values = {
            "state": state,
            "sent_at": now,
            "reason": "",
            "note": note,
            "unreachable": False,
            "asked": 0,
        }
        message = f"{claim.destination}: {note}" if note else claim.destination
        with self._database.writing() as connection:
            if not self._close(connection, claim, EventKind.SENT, message, values):
                return False
            connection.execute(delete(commitment).where(commitment.c.delivery_id == claim.id))
            _wake(connection, claim.destination)
            return True

    def retry_later(
        self,
        claim: ClaimedDelivery,
        *,
        reason: str,
        max_attempts: int,
        delay_s: float,
        unreachable: bool = False,
    ) -> bool:
        """Send, or send again, after delay_s; or park the delivery after the last attempt."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        state = _S.PENDING if claim.attempt < max_attempts else _S.PARKED
        message = f"{claim.destination}, attempt {claim.attempt} of {max_attempts}: {reason}"
        values = {
            "state": state,
            "not_before": later,
            "reason": reason,
            "unreachable": unreachable,
            "sent_at": None,
        }
        with self._database.writing() as connection:
            return self._close(connection, claim, EventKind.SEND_FAILED, message, values)

    def rejected(self, claim: ClaimedDelivery, *, reason: str) -> bool:
        """Never try again: the destination refused for good. The job is parked once no other is under way."""
        message = f"{claim.destination}: {reason}"
        values = {"state": _S.REJECTED, "reason": reason}
        with self._database.writing() as connection:
            return self._close(connection, claim, EventKind.SEND_REJECTED, message, values)

    def give_back(self, claim: ClaimedDelivery) -> bool:
        """Let another sender have at once what was claimed and not begun; no attempt is counted."""
        counted = {"asked": claim.asked - 1} if claim.is_sent else {"attempts": claim.attempt - 1}
        state = _S.UNCONFIRMED if claim.is_sent else _S.PENDING
        with self._database.writing() as connection:
            return _write(
                connection,
                claim,
                state=state,
                lease_owner=None,
                lease_expires_at=None,
                not_before=None,
                **counted,
            )

    def asking(self, claim: ClaimedDelivery, *, transaction_uid: str, sop_instance_uid: str) -> bool:
        """Record a request for storage commitment before it goes out, so that its report finds the delivery."""
        with self._database.writing() as connection:
            if not _write(connection, claim, lease_owner=claim.sender):
                return False
            connection.execute(
                insert(commitment).values(
                    transaction_uid=transaction_uid,
                    delivery_id=claim.id,
                    sop_instance_uid=sop_instance_uid,
                    asked_at=self._database.clock(),
                )
            )
            return True

    def report(self, claim: ClaimedDelivery) -> CommitmentReport | None:
        """Give what the destination has reported of the delivery since it was sent; None: nothing yet."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(commitment.c.failure_reason)
                .where(commitment.c.delivery_id == claim.id, commitment.c.reported_at.is_not(None))
                .order_by(commitment.c.reported_at.desc(), commitment.c.asked_at.desc())
                .limit(1)
            ).one_or_none()
        return None if row is None else CommitmentReport(failure_reason=row.failure_reason)

    def confirmed(self, claim: ClaimedDelivery, *, how: str) -> bool:
        """Record that the destination keeps the object; the job is done when it was the last one."""
        values = {"state": _S.SENT, "confirmed_at": self._database.clock(), "reason": ""}
        with self._database.writing() as connection:
            return self._close(connection, claim, EventKind.CONFIRMED, f"{claim.destination}: {how}", values)

    def unconfirmed(self, claim: ClaimedDelivery, *, reason: str, max_asks: int, delay_s: float) -> bool:
        """Ask again after delay_s, or at once when a report came meanwhile; park the delivery after the last time."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        state = _S.UNCONFIRMED if claim.asked < max_asks else _S.PARKED
        message = f"{claim.destination}, asked {claim.asked} of {max_asks} times: {reason}"
        with self._database.writing() as connection:
            if _has_report(connection, claim):
                at_once: dict[str, Any] = {"state": _S.UNCONFIRMED, "not_before": None}
                return _write(connection, claim, lease_owner=None, lease_expires_at=None, **at_once)
            values = {"state": state, "not_before": later, "reason": reason}
            return self._close(connection, claim, EventKind.UNCONFIRMED, message, values)

    def not_asked(self, claim: ClaimedDelivery, *, reason: str, max_attempts: int, delay_s: float) -> bool:
        """Ask later a destination that could not be asked: it counts as an attempt, not as an answer."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        attempt = claim.attempt + 1
        values = {
            "state": _S.UNCONFIRMED if attempt < max_attempts else _S.PARKED,
            "not_before": later,
            "reason": reason,
            "attempts": attempt,
            "asked": claim.asked - 1,
            "unreachable": True,
        }
        message = f"{claim.destination}, attempt {attempt} of {max_attempts} to ask: {reason}"
        with self._database.writing() as connection:
            return self._close(connection, claim, EventKind.UNCONFIRMED, message, values)

    def _anything_due(self) -> bool:
        """Look without taking SQLite's write lock, which an idle sender would take at every poll."""
        with self._database.reading() as connection:
            due = select(delivery.c.id).join(job, job.c.id == delivery.c.job_id)
            now = self._database.clock()
            return connection.execute(due.where(or_(_due(now), _abandoned(now))).limit(1)).first() is not None

    def _close(
        self,
        connection: Connection,
        claim: ClaimedDelivery,
        kind: EventKind,
        message: str,
        values: dict[str, Any],
    ) -> bool:
        """End the sender's hold on its delivery, tell the job, and move the job if this was its last one."""
        now = self._database.clock()
        row = lock(connection, claim.job_id)  # first, so that two last deliveries do not miss each other
        if row is None:
            return False
        if values["state"] in WAITING and not _is_wanted(row, claim.kind):
            # The job was cancelled, superseded or done: an object that was taken is told as sent, another withdrawn.
            values = {**values, "state": _S.SENT if values["state"] is _S.UNCONFIRMED else _S.WITHDRAWN}
        if not _write(connection, claim, lease_owner=None, lease_expires_at=None, **values):
            return False
        if claim.kind is DeliveryKind.NOTICE:
            message = f"failure notice: {message}"
        tell(connection, row.id, now, Line(kind=kind, source=row.state, to=row.state, message=message))
        audit_delivery(connection, claim, kind, now)
        settle(connection, row, now)
        return True


def _wanted() -> ColumnElement[bool]:
    """What is to be sent: the results of a job that is delivering, the notices of one that stays failed."""
    result = and_(delivery.c.kind == DeliveryKind.RESULT, job.c.state == JobState.DELIVERING)
    failed = and_(job.c.state.in_(FAILED_FOR_GOOD), job.c.superseded_by.is_(None))
    return or_(result, and_(delivery.c.kind == DeliveryKind.NOTICE, failed))


def _is_wanted(row: Row[Any], kind: DeliveryKind) -> bool:
    """Say the same of a locked job."""
    if kind is DeliveryKind.RESULT:
        return row.state is JobState.DELIVERING
    return row.state in FAILED_FOR_GOOD and row.superseded_by is None


def _due(now: datetime) -> ColumnElement[bool]:
    waits = and_(
        delivery.c.state.in_(WAITING),
        or_(delivery.c.not_before.is_(None), delivery.c.not_before <= now),
    )
    return and_(_wanted(), or_(waits, _abandoned(now)))


def _abandoned(now: datetime) -> ColumnElement[bool]:
    return and_(delivery.c.state.in_(LEASED), delivery.c.lease_expires_at < now)


def _withdraw_abandoned(connection: Connection, now: datetime) -> None:
    """End the deliveries that nobody sends any more and nobody needs: their job was cancelled or superseded."""
    ended = select(job.c.id).where(job.c.id == delivery.c.job_id, ~_wanted())
    connection.execute(
        update(delivery)
        .where(_abandoned(now), ended.exists())
        .values(state=_S.WITHDRAWN, lease_owner=None, lease_expires_at=None)
    )


def _wake(connection: Connection, destination: str) -> None:
    """Make due what could not reach a destination that has just taken something."""
    connection.execute(
        update(delivery)
        .where(
            delivery.c.destination == destination,
            delivery.c.state.in_(WAITING),
            delivery.c.unreachable.is_(True),
        )
        .values(not_before=None, unreachable=False)
    )


def _has_report(connection: Connection, claim: ClaimedDelivery) -> bool:
    report = select(commitment.c.delivery_id).where(
        commitment.c.delivery_id == claim.id, commitment.c.reported_at.is_not(None)
    )
    return connection.execute(report.limit(1)).first() is not None


def _lease(
    connection: Connection, row: Row[Any], sender: str, now: datetime, lease_s: float
) -> ClaimedDelivery | None:
    is_sent = row.state in (_S.UNCONFIRMED, _S.CONFIRMING)
    attempt, asked = (row.attempts, row.asked + 1) if is_sent else (row.attempts + 1, 0)
    changed = connection.execute(
        update(delivery)
        .where(delivery.c.id == row.id, delivery.c.state == row.state)
        .values(
            state=_S.CONFIRMING if is_sent else _S.SENDING,
            attempts=attempt,
            asked=asked,
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
        kind=row.kind,
        priority=row.priority or 0,
        created_at=row.created_at,
        is_sent=is_sent,
        attempt=attempt,
        asked=asked,
        result=StoredFile(path=row.path, size_bytes=row.size_bytes, sha256=row.sha256),
        sender=sender,
        lease_number=row.lease_number + 1,
    )


def _write(connection: Connection, claim: ClaimedDelivery, **values: Any) -> bool:
    changed = connection.execute(
        update(delivery)
        .where(
            delivery.c.id == claim.id,
            delivery.c.state.in_(LEASED),
            delivery.c.lease_owner == claim.sender,
            delivery.c.lease_number == claim.lease_number,
        )
        .values(**values)
    )
    return changed.rowcount == 1

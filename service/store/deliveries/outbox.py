"""The store's interface for the role `send`: deliveries."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select

from service.store.audit.log import audit_beginning, audit_delivery
from service.store.clock_steps import LeaseWatch, SetBackWatch
from service.store.database import Database
from service.store.deliveries.completion import complete_job_if_delivered
from service.store.deliveries.leases import (
    WAITING,
    has_report,
    is_abandoned,
    is_due,
    is_under_way,
    is_wanted,
    is_wanted_now,
    leased,
    take,
    wake,
    withdraw_abandoned,
    write_leased,
)
from service.store.jobs.transitions import HistoryLine, add_history_line, lock
from service.store.records import ClaimedDelivery, CommitmentReport
from service.store.states import DeliveryKind, DeliveryState, EventKind
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import commitment, delivery, job

_S = DeliveryState


class Outbox:
    """Deliveries to send. Every write returns False, and changes nothing, if the lease is lost."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = LeaseWatch(database)
        self._set_back = SetBackWatch(database)

    def claim_delivery(self, sender: str, *, lease_s: float) -> ClaimedDelivery | None:
        """Claim the delivery of the most urgent job that has been due longest, or one that was abandoned."""
        if not self._anything_due(lease_s):
            return None
        now = self._database.clock()
        with self._database.writing() as connection:
            abandoned = self._leases.abandoned(leased(connection), lease_s)
            withdraw_abandoned(connection, abandoned)
            row = connection.execute(
                select(
                    delivery,
                    job.c.uid,
                    job.c.priority,
                    artifact.c.path,
                    artifact.c.size_bytes,
                    artifact.c.sha256,
                )
                .join(job, job.c.id == delivery.c.job_id)
                .join(artifact, artifact.c.id == delivery.c.artifact_id)
                .where(is_under_way(), is_due(now, abandoned))
                .order_by(func.coalesce(job.c.priority, 0).desc(), delivery.c.id)
                .limit(1)
                .with_for_update(of=delivery, skip_locked=True)
            ).one_or_none()
            if row is None:
                return None
            self._leases.wrote(row.id, row.lease_number + 1, now + timedelta(seconds=lease_s))
            return take(connection, row, sender, now, lease_s)

    def begin(self, claim: ClaimedDelivery, *, lease_s: float) -> bool:
        """Renew the lease because the object is about to be sent; False as in heartbeat(): do not start."""
        with self._database.writing() as connection:
            is_ours = self._prolong(connection, claim, lease_s)
            if is_ours:
                audit_beginning(connection, claim, self._database.clock())
            return is_ours

    def heartbeat(self, claim: ClaimedDelivery, *, lease_s: float) -> bool:
        """Renew the lease; False: do not start to send, another process holds it or its job has ended.

        One that is being sent already may go on: sent() records it even if the job was ended meanwhile.
        """
        with self._database.writing() as connection:
            return self._prolong(connection, claim, lease_s)

    def sent(self, claim: ClaimedDelivery, *, note: str = "", is_confirmed_later: bool = False) -> bool:
        """Record the destination's success and what it said; the job is done if this was its last delivery.

        With ``is_confirmed_later`` it is not yet: the delivery is claimed again to ask for confirmation. Deliveries
        that could not reach the same destination become due at once.
        """
        now = self._database.clock()
        state = _S.UNCONFIRMED if is_confirmed_later else _S.SENT
        values = {
            "state": state,
            "sent_at": now,
            "reason": "",
            "note": note,
            "unreachable": False,
            "confirmation_requests": 0,
        }
        message = f"{claim.destination}: {note}" if note else claim.destination
        with self._database.writing() as connection:
            if not self._close(connection, claim, EventKind.SENT, message, values):
                return False
            connection.execute(delete(commitment).where(commitment.c.delivery_id == claim.id))
            wake(connection, claim.destination)
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
        """Send, or send again, after delay_s; the delivery fails after the last attempt."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        state = _S.PENDING if claim.attempt < max_attempts else _S.FAILED
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
        """Record that the destination refused for good. The job fails once its other deliveries have ended."""
        message = f"{claim.destination}: {reason}"
        values = {"state": _S.REJECTED, "reason": reason}
        with self._database.writing() as connection:
            return self._close(connection, claim, EventKind.SEND_REJECTED, message, values)

    def give_back(self, claim: ClaimedDelivery) -> bool:
        """Release a delivery that was claimed but not started; no attempt is counted."""
        counted = (
            {"confirmation_requests": claim.confirmation_requests - 1}
            if claim.is_sent
            else {"attempts": claim.attempt - 1}
        )
        state = _S.UNCONFIRMED if claim.is_sent else _S.PENDING
        with self._database.writing() as connection:
            return write_leased(
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
            if not write_leased(connection, claim, lease_owner=claim.sender):
                return False
            connection.execute(
                insert(commitment).values(
                    transaction_uid=transaction_uid,
                    delivery_id=claim.id,
                    sop_instance_uid=sop_instance_uid,
                    requested_at=self._database.clock(),
                )
            )
            return True

    def report(self, claim: ClaimedDelivery) -> CommitmentReport | None:
        """Return the destination's report on the delivery since it was sent, a commitment first; None: none yet."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(commitment.c.failure_reason)
                .where(commitment.c.delivery_id == claim.id, commitment.c.reported_at.is_not(None))
                .order_by(commitment.c.failure_reason.is_not(None), commitment.c.transaction_uid)
                .limit(1)
            ).one_or_none()
        return None if row is None else CommitmentReport(failure_reason=row.failure_reason)

    def confirmed(self, claim: ClaimedDelivery, *, how: str) -> bool:
        """Record that the destination has the object; the job is done if this was its last delivery."""
        values = {"state": _S.SENT, "confirmed_at": self._database.clock(), "reason": ""}
        with self._database.writing() as connection:
            return self._close(connection, claim, EventKind.CONFIRMED, f"{claim.destination}: {how}", values)

    def unconfirmed(self, claim: ClaimedDelivery, *, reason: str, max_asks: int, delay_s: float) -> bool:
        """Ask again after delay_s, or at once if a report came meanwhile; the delivery fails after the last request."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        state = _S.UNCONFIRMED if claim.confirmation_requests < max_asks else _S.FAILED
        message = f"{claim.destination}, asked {claim.confirmation_requests} of {max_asks} times: {reason}"
        with self._database.writing() as connection:
            if has_report(connection, claim):
                at_once: dict[str, Any] = {"state": _S.UNCONFIRMED, "not_before": None}
                return write_leased(connection, claim, lease_owner=None, lease_expires_at=None, **at_once)
            values = {"state": state, "not_before": later, "reason": reason}
            return self._close(connection, claim, EventKind.UNCONFIRMED, message, values)

    def not_asked(self, claim: ClaimedDelivery, *, reason: str, max_attempts: int, delay_s: float) -> bool:
        """Ask later, because the destination could not be asked: this counts as an attempt, not as an answer."""
        later = self._database.clock() + timedelta(seconds=delay_s)
        attempt = claim.attempt + 1
        values = {
            "state": _S.UNCONFIRMED if attempt < max_attempts else _S.FAILED,
            "not_before": later,
            "reason": reason,
            "attempts": attempt,
            "confirmation_requests": claim.confirmation_requests - 1,
            "unreachable": True,
        }
        message = f"{claim.destination}, attempt {attempt} of {max_attempts} to ask: {reason}"
        with self._database.writing() as connection:
            return self._close(connection, claim, EventKind.UNCONFIRMED, message, values)

    def _prolong(self, connection: Connection, claim: ClaimedDelivery, lease_s: float) -> bool:
        until = self._database.clock() + timedelta(seconds=lease_s)
        wanted = (
            select(delivery.c.id)
            .join(job, job.c.id == delivery.c.job_id)
            .where(delivery.c.id == claim.id, is_wanted_now())
        )
        held = write_leased(connection, claim, lease_expires_at=until)
        self._leases.wrote(claim.id, claim.lease_number, until)
        return held and connection.execute(wanted).first() is not None

    def _anything_due(self, lease_s: float) -> bool:
        """Check without taking SQLite's write lock, which an idle process would otherwise take at every poll."""
        self._set_back.look(delivery, delivery.c.state.in_(WAITING))
        with self._database.reading() as connection:
            now, abandoned = self._database.clock(), self._leases.abandoned(leased(connection), lease_s)
            due = (
                select(delivery.c.id)
                .join(job, job.c.id == delivery.c.job_id)
                .where(is_under_way(), or_(is_due(now, abandoned), is_abandoned(abandoned)))
                .limit(1)
            )
            return connection.execute(due).first() is not None

    def _close(
        self,
        connection: Connection,
        claim: ClaimedDelivery,
        kind: EventKind,
        message: str,
        values: dict[str, Any],
    ) -> bool:
        """Release the delivery, record the result in the job's history, and end the job if it was the last."""
        now = self._database.clock()
        row = lock(connection, claim.job_id)  # first, so that two last deliveries do not miss each other
        if row is None:
            return False
        if values["state"] in WAITING and not is_wanted(row, claim.kind):
            # The job was cancelled, superseded or done: an accepted object is recorded as sent, another as withdrawn.
            values = {**values, "state": _S.SENT if values["state"] is _S.UNCONFIRMED else _S.WITHDRAWN}
        if not write_leased(connection, claim, lease_owner=None, lease_expires_at=None, **values):
            return False
        if claim.kind is DeliveryKind.FAILURE_REPORT:
            message = f"failure report: {message}"
        add_history_line(
            connection, row.id, now, HistoryLine(kind=kind, source=row.state, to=row.state, message=message)
        )
        audit_delivery(connection, claim, kind, now, is_last=values["state"] not in WAITING)
        complete_job_if_delivered(connection, row, now)
        return True

"""Which deliveries are due, and their leases."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Result, Row, and_, or_, select, update

from service.store.jobs.transitions import LONGEST_WAIT, is_over
from service.store.records import ClaimedDelivery, StoredFile
from service.store.states import FAILED_FOR_GOOD, RESENDABLE, DeliveryKind, DeliveryState
from service.store.tables.schema import commitment, delivery, job

_S = DeliveryState
LONGEST_CONFIRMATION = timedelta(days=7)  # confirm_s of a destination
WAITING = (_S.PENDING, _S.UNCONFIRMED)
LEASED = (_S.SENDING, _S.CONFIRMING)


def is_wanted_now() -> ColumnElement[bool]:
    """Select deliveries to be sent: results of a delivering job, failure reports of one that stays failed.

    A job that is done has deliveries under way where a person had its results sent again.
    """
    result = and_(delivery.c.kind == DeliveryKind.RESULT, job.c.state.in_(RESENDABLE))
    failed = and_(job.c.state.in_(FAILED_FOR_GOOD), job.c.superseded_by.is_(None))
    return or_(result, and_(delivery.c.kind == DeliveryKind.FAILURE_REPORT, failed))


def is_wanted(row: Row[Any], kind: DeliveryKind) -> bool:
    """Tell the same of a locked job."""
    if kind is DeliveryKind.RESULT:
        return row.state in RESENDABLE
    return row.state in FAILED_FOR_GOOD and row.superseded_by is None


def is_under_way() -> ColumnElement[bool]:
    """Select unfinished deliveries: implied by is_due(), it keeps the query off everything ever sent."""
    return delivery.c.state.in_((*WAITING, *LEASED))


def is_due(now: datetime, abandoned: Collection[int]) -> ColumnElement[bool]:
    """Select waiting deliveries that may be tried, and deliveries abandoned by a process."""
    waits = and_(
        delivery.c.state.in_(WAITING),
        or_(
            delivery.c.not_before.is_(None),
            is_over(delivery.c.not_before, now, LONGEST_CONFIRMATION),
            and_(delivery.c.state == _S.PENDING, is_over(delivery.c.not_before, now, LONGEST_WAIT)),
        ),
    )
    return and_(is_wanted_now(), or_(waits, is_abandoned(abandoned)))


def is_abandoned(abandoned: Collection[int]) -> ColumnElement[bool]:
    """Select deliveries whose holder has not renewed the lease for longer than its length."""
    return and_(delivery.c.state.in_(LEASED), delivery.c.id.in_(abandoned))


def leased(connection: Connection) -> Result[Any]:
    """Return what is being sent or asked about now: id, lease_number, lease_expires_at."""
    columns = (delivery.c.id, delivery.c.lease_number, delivery.c.lease_expires_at)
    return connection.execute(select(*columns).where(delivery.c.state.in_(LEASED)))


def withdraw_abandoned(connection: Connection, abandoned: Collection[int]) -> None:
    """Withdraw abandoned deliveries that are no longer needed: their job was cancelled or superseded."""
    ended = select(job.c.id).where(job.c.id == delivery.c.job_id, ~is_wanted_now())
    connection.execute(
        update(delivery)
        .where(is_abandoned(abandoned), ended.exists())
        .values(state=_S.WITHDRAWN, lease_owner=None, lease_expires_at=None)
    )


def wake(connection: Connection, destination: str) -> None:
    """Make due the deliveries that could not reach a destination which has just taken an object."""
    connection.execute(
        update(delivery)
        .where(
            delivery.c.destination == destination,
            delivery.c.state.in_(WAITING),
            delivery.c.unreachable.is_(True),
        )
        .values(not_before=None, unreachable=False)
    )


def has_report(connection: Connection, claim: ClaimedDelivery) -> bool:
    """Tell whether the peer has reported on a commitment that this delivery asked for."""
    report = select(commitment.c.delivery_id).where(
        commitment.c.delivery_id == claim.id, commitment.c.reported_at.is_not(None)
    )
    return connection.execute(report.limit(1)).first() is not None


def take(
    connection: Connection, row: Row[Any], sender: str, now: datetime, lease_s: float
) -> ClaimedDelivery | None:
    """Lease the delivery to a process; None if another was faster."""
    is_sent = row.state in (_S.UNCONFIRMED, _S.CONFIRMING)
    attempt, requests = (row.attempts, row.confirmation_requests + 1) if is_sent else (row.attempts + 1, 0)
    changed = connection.execute(
        update(delivery)
        .where(delivery.c.id == row.id, delivery.c.state == row.state)
        .values(
            state=_S.CONFIRMING if is_sent else _S.SENDING,
            attempts=attempt,
            confirmation_requests=requests,
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
        confirmation_requests=requests,
        result=StoredFile(path=row.path, size_bytes=row.size_bytes, sha256=row.sha256),
        sender=sender,
        lease_number=row.lease_number + 1,
    )


def write_leased(connection: Connection, claim: ClaimedDelivery, **values: Any) -> bool:
    """Change a delivery if the claim still holds it; False, and nothing is changed, if it does not."""
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

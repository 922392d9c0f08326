"""What the end of a delivery means for its job: fallbacks released, the job done, or failed with the reasons."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from service.store.jobs.transitions import HistoryLine, Transition, add_history_line, move
from service.store.states import UNDER_WAY, DeliveryKind, DeliveryState, EventKind, JobState
from service.store.tables.schema import delivery

DELIVERING = frozenset({JobState.DELIVERING})
ENDED_BADLY = frozenset({DeliveryState.REJECTED, DeliveryState.FAILED})
BETWEEN = ", "  # separates the names in fallback_for; no name contains it


def complete_job_if_delivered(connection: Connection, row: Row[Any], now: datetime) -> None:
    """Release the fallbacks of a job whose row is locked, and end the job once all its deliveries have ended."""
    if row.state is not JobState.DELIVERING:
        return
    results = _results(connection, row.id)
    if _call_fallbacks(connection, row, results, now):
        return
    if any(one.state in UNDER_WAY for one in results):
        return
    failed = [one for one in results if one.state not in (DeliveryState.SENT, DeliveryState.STANDBY)]
    lost = [one for one in failed if not _is_covered(one.destination, results)]
    if lost:
        reason = "; ".join(dict.fromkeys(_told(one) for one in lost))
        step = Transition(to=JobState.FAILED, kind=EventKind.FAILED, sources=DELIVERING, message=reason)
        move(connection, row, step, now, reason=reason)
        return
    by_fallback = "; ".join(dict.fromkeys(f"{_told(one)}; its fallback has it" for one in failed))
    step = Transition(to=JobState.DONE, kind=EventKind.DONE, sources=DELIVERING, message=by_fallback)
    if move(connection, row, step, now, reason=by_fallback, delivered_at=now):
        _withdraw_what_is_not_needed(connection, row.id)


def _replaced_by(one: Row[Any]) -> list[str]:
    """Return the destinations for which a delivery is the fallback."""
    return str(one.fallback_for).split(BETWEEN) if one.fallback_for else []


def _results(connection: Connection, job_id: int) -> Sequence[Row[Any]]:
    return connection.execute(
        select(delivery)
        .where(delivery.c.job_id == job_id, delivery.c.kind == DeliveryKind.RESULT)
        .order_by(delivery.c.destination, delivery.c.id)
    ).all()


def _call_fallbacks(
    connection: Connection, row: Row[Any], results: Sequence[Row[Any]], now: datetime
) -> bool:
    """Release the fallbacks of the destinations that failed; True if there were any."""
    failed = {one.destination: one for one in results if one.state in ENDED_BADLY}
    called: dict[str, str] = {}
    for one in results:
        instead_of = [name for name in _replaced_by(one) if name in failed]
        if one.state is DeliveryState.STANDBY and instead_of:
            connection.execute(
                update(delivery).where(delivery.c.id == one.id).values(state=DeliveryState.PENDING)
            )
            called[one.destination] = f"{_told(failed[instead_of[0]])}; it goes to {one.destination} instead"
    for message in called.values():
        add_history_line(
            connection,
            row.id,
            now,
            HistoryLine(kind=EventKind.FALLBACK, source=row.state, to=row.state, message=message),
        )
    return bool(called)


def _is_covered(destination: str, results: Sequence[Row[Any]]) -> bool:
    """Tell whether a fallback of the destination, or one of its fallback's, has everything; chains have no loops."""
    fallbacks = [one for one in results if destination in _replaced_by(one)]
    return bool(fallbacks) and all(
        one.state is DeliveryState.SENT or _is_covered(one.destination, results) for one in fallbacks
    )


def _told(one: Row[Any]) -> str:
    return f"{one.destination} {one.state}: {one.reason}"


def _withdraw_what_is_not_needed(connection: Connection, job_id: int) -> None:
    """Withdraw deliveries still on standby, and reports of a failure that no longer applies."""
    connection.execute(
        update(delivery)
        .where(
            delivery.c.job_id == job_id,
            (delivery.c.state == DeliveryState.STANDBY)
            | (
                (delivery.c.kind == DeliveryKind.FAILURE_REPORT) & (delivery.c.state == DeliveryState.PENDING)
            ),
        )
        .values(state=DeliveryState.WITHDRAWN, reason="not needed")
    )

"""Images that the receiver refused, from the audit trail: one row per association."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from service.store.audit.log import AuditKind, AuditOutcome
from service.store.tables.audit_schema import audit_event

SHOWN_FOR = timedelta(hours=24)
MOST_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class RefusedImages:
    """Recent images of one sender that were refused for one reason."""

    sender: str  # AE title
    address: str
    reason: str
    count: int
    last_at: datetime


def refused_images(connection: Connection, now: datetime) -> tuple[RefusedImages, ...]:
    """Return what was refused in the last day by sender and reason, latest first; the rest is in the audit trail."""
    count, last_at = func.sum(audit_event.c.instance_count), func.max(audit_event.c.at)
    query = (
        select(
            audit_event.c.actor,
            audit_event.c.address,
            audit_event.c.detail,
            count.label("images"),
            last_at.label("last_at"),
        )
        .where(
            audit_event.c.at >= now - SHOWN_FOR,
            audit_event.c.kind == AuditKind.RECEIVED,
            audit_event.c.outcome == AuditOutcome.MINOR_FAILURE,
            audit_event.c.instance_count > 0,
        )
        .group_by(audit_event.c.actor, audit_event.c.address, audit_event.c.detail)
        .order_by(last_at.desc(), audit_event.c.actor)
        .limit(MOST_SHOWN)
    )
    return tuple(
        RefusedImages(
            sender=row.actor,
            address=row.address,
            reason=row.detail,
            count=int(row.images),
            last_at=row.last_at,
        )
        for row in connection.execute(query)
    )

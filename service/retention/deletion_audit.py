"""What was removed, for the audit trail."""

from service.retention.sweep import RemovalReport
from service.store import AuditEvent, AuditKind, AuditLog, Clock, utc_now


class DeletionAudit:
    """Puts what the sweeper removed into the trail, one entry a series or job."""

    def __init__(self, audit_log: AuditLog, clock: Clock = utc_now) -> None:
        self._audit_log = audit_log
        self._clock = clock

    def __call__(self, removed: RemovalReport) -> None:
        """Add the entry."""
        event = AuditEvent(
            kind=AuditKind.DELETED,
            role="retention",
            target=removed.belongs_to,
            study_uid=removed.study_uid,
            instance_count=removed.files,
            detail=f"{removed.kind} after their time",
        )
        self._audit_log.append([(self._clock(), event)])

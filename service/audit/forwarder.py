"""Forward the audit trail from its table to the repository: nothing is lost while the repository is unavailable."""

import logging
import threading

from service.audit.message import audit_message
from service.audit.syslog import send, syslog_message
from service.config import Settings, SyslogSettings
from service.errors import TryAgain
from service.store import AuditLog

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
_LOOK_EVERY_S = 0.5


def run_forwarder(settings: Settings, audit_log: AuditLog, stop: threading.Event) -> None:
    """Forward entries in order until ``stop`` is set; without a configured repository, only wait."""
    syslog = settings.audit.syslog
    if syslog is None:
        log.info("no audit record repository in the settings; the audit trail stays in the table")
        while not stop.wait(_LOOK_EVERY_S):  # a signal that comes as the wait begins does not end it
            pass
        return
    while not stop.is_set():
        try:
            forwarded = forward(settings, syslog, audit_log)
        except TryAgain as reason:
            log.warning("audit events wait", extra={"reason": str(reason)})
            forwarded = 0
        if forwarded < MOST_AT_ONCE:
            stop.wait(settings.advanced.poll_s)


def forward(settings: Settings, syslog: SyslogSettings, audit_log: AuditLog) -> int:
    """Forward the oldest waiting entries and return their number.

    Raises:
        NotForwarded: the repository did not take them; they stay in the table.
        DatabaseUnavailable: the repository may already have them and will get them again.
    """
    entries = audit_log.to_forward(MOST_AT_ONCE)
    if not entries:
        return 0
    messages = [
        syslog_message(audit_message(entry, settings, audit_log.patient_of), entry.at) for entry in entries
    ]
    send(syslog, messages)
    audit_log.forwarded([entry.id for entry in entries])
    log.info("audit events forwarded", extra={"events": len(entries)})
    return len(entries)

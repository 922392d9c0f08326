"""The audit trail: what writes it, and the role that forwards it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.audit import AuditWriter, run_forwarder
from service.config import Settings
from service.store import AuditLog
from service.wiring.store import opened_store, pulse


def forward_audit(settings: Settings, stop: threading.Event) -> None:
    """The role forward-audit: forwards the trail to the repository of the settings until ``stop`` is set."""
    with opened_store(settings) as store, pulse(store, settings, "forward-audit"):
        run_forwarder(settings, AuditLog(store.database), stop)


@contextmanager
def audit_trail(settings: Settings, role: str) -> Iterator[AuditWriter]:
    """The audit trail for a command of a person, or for a role's start and stop."""
    with opened_store(settings) as store, AuditWriter(AuditLog(store.database), role=role) as trail:
        yield trail

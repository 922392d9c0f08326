"""The role that removes what is over and verifies the rest."""

import threading

from service.config import Settings
from service.retention import DeletionAudit, RetentionSweep
from service.store import AuditLog, RetentionStore
from service.wiring.store import Store, disk_gauge, opened_store, pulse


def retention(settings: Settings, stop: threading.Event) -> None:
    """The role retention, until ``stop`` is set."""
    with opened_store(settings) as store, pulse(store, settings, "retention"):
        sweeper(settings, store).run(stop)


def sweeper(settings: Settings, store: Store) -> RetentionSweep:
    """What removes files whose time is over, and verifies the others."""
    return RetentionSweep(
        keeper=RetentionStore(store.database),
        files=store.files,
        gauge=disk_gauge(settings),
        settings=settings.keep,
        tell=DeletionAudit(AuditLog(store.database)),
    )

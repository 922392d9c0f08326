"""The role that removes what is over and verifies the rest."""

import threading

from service.config import Settings
from service.keep import Deletions, Sweeper
from service.store import AuditLog, Keeper
from service.wiring.store import Store, disk_gauge, opened_store, pulse


def keep(settings: Settings, stop: threading.Event) -> None:
    """The role keep, until ``stop`` is set."""
    with opened_store(settings) as store, pulse(store, settings, "keep"):
        sweeper(settings, store).run(stop)


def sweeper(settings: Settings, store: Store) -> Sweeper:
    """What removes files whose time is over, and verifies the others."""
    return Sweeper(
        keeper=Keeper(store.database),
        files=store.files,
        gauge=disk_gauge(settings),
        settings=settings.keep,
        tell=Deletions(AuditLog(store.database)),
    )

"""What looks at the node while it runs, and what tells it that a role is alive."""

import threading

from inference.client import TritonClient
from service.config import Settings
from service.store import Database, Heartbeats, SignOfLife
from service.watch.echoes import Echoes
from service.watch.pulse import Pulse
from service.watch.role import run_watch
from service.watch.view import View
from service.watch.watcher import Parts, look_once
from service.wiring.models import triton_client
from service.wiring.store import Store, disk_gauge, open_database, opened_store, prepare


def watch(settings: Settings, stop: threading.Event) -> None:
    """The role watch, until ``stop`` is set."""
    database = open_database(settings)
    try:
        with triton_client(settings) as server:
            run_watch(_watched(settings, database, server), stop)
    finally:
        database.close()


def look(settings: Settings) -> View:
    """One look at the node, without the role watch; raises TryAgain where the database is away."""
    with opened_store(settings) as store, triton_client(settings) as server:
        return look_once(_watched(settings, store.database, server))


def signs_of_life(store: Store) -> list[SignOfLife]:
    """Every process of the node that was heard of, the latest sign first."""
    return Heartbeats(store.database).all()


def _watched(settings: Settings, database: Database, server: TritonClient) -> Parts:
    return Parts(
        settings=settings,
        database=database,
        prepare=lambda: prepare(settings),
        is_model_server_live=server.live,
        echoes=Echoes(settings),
        gauge=disk_gauge(settings),
    )


def pulse(store: Store, settings: Settings, role: str) -> Pulse:
    """What gives a sign of life for a role while its block runs."""
    return Pulse(Heartbeats(store.database), role, every_s=settings.watch.heartbeat_s)

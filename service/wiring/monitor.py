"""The role that looks at the node while it runs."""

import threading

from inference.client import TritonClient
from service.config import Settings
from service.monitor.echoes import PeerEchoes
from service.monitor.monitor import MonitorParts, look_once
from service.monitor.node_status import NodeStatus
from service.monitor.role import run_monitor
from service.store import Database
from service.wiring.model_server import triton_client
from service.wiring.store import disk_gauge, open_database, opened_store, prepare


def monitor(settings: Settings, stop: threading.Event) -> None:
    """The role monitor, until ``stop`` is set."""
    database = open_database(settings)
    try:
        with triton_client(settings) as server:
            run_monitor(_monitor_parts(settings, database, server), stop)
    finally:
        database.close()


def look(settings: Settings) -> NodeStatus:
    """One look at the node, without the role monitor; raises TryAgain where the database is away."""
    with opened_store(settings) as store, triton_client(settings) as server:
        return look_once(_monitor_parts(settings, store.database, server))


def _monitor_parts(settings: Settings, database: Database, server: TritonClient) -> MonitorParts:
    return MonitorParts(
        settings=settings,
        database=database,
        prepare=lambda: prepare(settings),
        is_model_server_live=server.live,
        echoes=PeerEchoes(settings),
        gauge=disk_gauge(settings),
    )

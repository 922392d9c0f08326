"""The database and the storage folder of these settings, and the signs of life in it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from service.config import Settings
from service.monitor.heartbeat_thread import HeartbeatThread
from service.store import Database, DiskGauge, FileStore, Heartbeats, JobRepository, RoleHeartbeat, upgrade
from service.store.files.part_files import translated


@dataclass(frozen=True, kw_only=True)
class Store:
    """The database and the folder of files that every role shares."""

    database: Database
    files: FileStore
    book: JobRepository


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The store of a node whose schema is up to date."""
    prepare(settings)
    database = open_database(settings)
    try:
        yield Store(
            database=database, files=FileStore(settings.node.storage_dir), book=JobRepository(database)
        )
    finally:
        database.close()


def disk_gauge(settings: Settings) -> DiskGauge:
    """What tells whether the storage folder has room."""
    return DiskGauge.of(settings.node.storage_dir, settings.retention)


def process_name(role: str) -> str:
    """A name for leases that no other process has at the same time."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def pulse(store: Store, settings: Settings, role: str) -> HeartbeatThread:
    """What gives a sign of life for a role while its block runs."""
    return HeartbeatThread(Heartbeats(store.database), role, every_s=settings.advanced.role_heartbeat_s)


def signs_of_life(store: Store) -> list[RoleHeartbeat]:
    """Every process of the node that was heard of, the latest sign first."""
    return Heartbeats(store.database).all()


def prepare(settings: Settings) -> None:
    """Make the storage folder and bring the database to this version's schema."""
    folder = settings.node.storage_dir
    with translated(f"the storage folder {folder.absolute()} cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)


def open_database(settings: Settings) -> Database:
    """A connection to the database of these settings; the caller closes it."""
    return Database(
        settings.database_url,
        busy_timeout_s=settings.advanced.database_busy_timeout_s,
        connect_timeout_s=settings.advanced.database_connect_timeout_s,
    )

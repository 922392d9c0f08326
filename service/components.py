"""The parts that roles and commands share, built from the settings: store, models, model server, audit trail.

Each function imports its own libraries, so that a process imports none that it does not use.
"""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.config import Peer, Settings, SettingsRefused
from service.errors import Refused

if TYPE_CHECKING:
    from inference.client import TritonClient
    from inference.contract import ModelLibrary
    from inference.embedded import EmbeddedTriton
    from service.audit import AuditWriter
    from service.monitor.heartbeat_thread import HeartbeatThread
    from service.receive.cget_receiver import CGetReceiver
    from service.rules import RuleBook
    from service.store import Database, DiskGauge, FileStore, JobRepository, NodeIdentity, RoleHeartbeat
    from service.store.objects import ObjectStore, StoredContent

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Store:
    """The database, the received files and the published objects that all roles share."""

    database: "Database"
    files: "FileStore"
    objects: "ObjectStore"
    book: "JobRepository"

    @property
    def content(self) -> "StoredContent":
        """The received files and the published objects together."""
        from service.store.objects import StoredContent

        return StoredContent(received=self.files, published=self.objects)


@contextmanager
def opened_store(settings: Settings, *, may_create: bool = False) -> Iterator[Store]:
    """Open the node's store as it is: nothing is migrated, and nothing is created unless ``may_create``.

    Raises:
        Refused: there is no database or storage folder here, or the database has the schema of another version.
    """
    from service.store import FileStore, JobRepository, check_schema
    from service.store.objects import FolderObjectStore

    if may_create:
        make_if_new(settings)
    else:
        _expect_store(settings)
        check_schema(settings.database_url)
    database = open_database(settings)
    try:
        yield Store(
            database=database,
            files=FileStore(settings.node.storage_dir),
            objects=FolderObjectStore(settings.node.storage_dir),
            book=JobRepository(database),
        )
    finally:
        database.close()


@contextmanager
def opened_for_role(settings: Settings) -> "Iterator[tuple[Store, NodeIdentity]]":
    """Open the store for a role's work: a new node's store is created, and its identity is checked or set.

    Raises:
        Refused: the database has the schema of another version.
    """
    with opened_store(settings, may_create=True) as store:
        identity = node_identity(settings, store)
        identity.settle()
        yield store, identity


def make_if_new(settings: Settings) -> None:
    """Create database and storage folder if there is no database yet; an existing one is not migrated.

    Raises:
        Refused: the database has the schema of another version.
    """
    from service.store import check_schema, has_schema

    if has_schema(settings.database_url):
        check_schema(settings.database_url)
    else:
        prepare(settings)


def node_identity(settings: Settings, store: Store) -> "NodeIdentity":
    """Return the identity of the database and the storage folder."""
    from service.store import NodeIdentity

    return NodeIdentity(store.database, settings.node.storage_dir)


def _expect_store(settings: Settings) -> None:
    """Raise Refused if there is no store: a command that only reads must not create an empty one."""
    folder, file = settings.node.storage_dir, settings.sqlite_file
    missing = next((path for path in (folder, file) if path is not None and not path.exists()), None)
    if missing is not None:
        raise Refused(
            f"there is no node's store at {missing.absolute()} (node.storage_dir, database.url): are these the right settings "
            "(--settings)? `contour-node serve` creates a store if there is none"
        )


def prepare(settings: Settings) -> None:
    """Create the storage folder, and bring the database to this version's schema; a copy of a SQLite file is kept."""
    from service.store import upgrade

    storage_folder(settings)
    upgrade(settings.database_url)


def storage_folder(settings: Settings) -> None:
    """Create the storage folder, for this user only."""
    from service.store.files.part_files import translated

    folder = settings.node.storage_dir
    if not folder.is_absolute():
        raise SettingsRefused(
            f"node.storage_dir = {str(folder)!r} is relative to the settings file, and there is none: name one with "
            "--settings (`contour-node init` writes one), or give the absolute path"
        )
    with translated(f"the storage folder {folder} cannot be created"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_to_others(folder)


def _close_to_others(folder: Path) -> None:
    """Close a storage folder of an earlier version to other users, and with it everything in it."""
    status = folder.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        folder.chmod(0o700)
        log.warning(
            "the storage folder %s was open to other users (mode %04o); it is closed now",
            folder,
            status.st_mode & 0o777,
        )


def open_database(settings: Settings) -> "Database":
    """Connect to the database; the caller closes the connection."""
    from service.store import Database

    return Database(settings.database_url, busy_timeout_s=settings.advanced.database_busy_timeout_s)


def disk_gauge(settings: Settings) -> "DiskGauge":
    """Return the gauge of free space in the storage folder."""
    from service.store import DiskGauge

    return DiskGauge(settings.node.storage_dir, settings.retention)


def process_name(role: str) -> str:
    """Return a name for leases that no other living process has."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def role_heartbeat(store: Store, settings: Settings, role: str) -> "HeartbeatThread":
    """Return a context that writes the role's heartbeat row while it is open."""
    from service.monitor.heartbeat_thread import HeartbeatThread
    from service.store import Heartbeats

    return HeartbeatThread(Heartbeats(store.database), role, every_s=settings.advanced.heartbeat_s)


def role_heartbeats(store: Store) -> "list[RoleHeartbeat]":
    """Return the latest heartbeat of every process of the node, newest first."""
    from service.store import Heartbeats

    return Heartbeats(store.database).all()


def model_library(settings: Settings) -> "ModelLibrary":
    """Load the contracts of the model repository; SettingsRefused if one is unreadable."""
    from inference.contract import ModelLibrary
    from inference.errors import ContractRefused
    from inference.structures import own_structures

    try:
        contracts = ModelLibrary(settings.triton.model_repository)
        for contract in contracts.values():
            own_structures(contract)
    except ContractRefused as reason:
        raise SettingsRefused(f"triton.model_repository: {reason}") from reason
    return contracts


def rule_book(
    settings: Settings,
    database: "Database",
    models: "ModelLibrary | None" = None,
    *,
    loads_templates: bool = False,
) -> "RuleBook":
    """Return the node's rule book; without models, for a process that contours nothing.

    Raises:
        SettingsRefused: the settings file's rules are in force and do not fit this node.
        TryAgain: the database does not answer.
    """
    from service.rules import RuleBook

    contracts = None if models is None else lambda: models
    book = RuleBook(settings, database, contracts, loads_templates=loads_templates)
    held = book.current()
    if held.faults and held.number == 0:
        raise SettingsRefused("\n".join(held.faults))
    if held.faults:
        log.error(
            "%s; nothing is contoured until this is fixed or another version is activated", held.why_not
        )
    return book


def triton_client(settings: Settings) -> "TritonClient":
    """Connect to the model server."""
    from inference.client import TritonClient

    return TritonClient(
        settings.triton_url,
        shared_memory=settings.triton.shared_memory,
        timeout_s=settings.triton.timeout_s,
        models_at_once=settings.triton.models_at_once,
        load_timeout_s=settings.triton.timeout_s,
    )


def embedded_triton(settings: Settings) -> "EmbeddedTriton":
    """Return the embedded model server of these settings, not yet started."""
    from inference.embedded import EmbeddedTriton

    return EmbeddedTriton(
        python_environment=settings.triton.environment,
        model_repository=settings.triton.model_repository,
        working_directory=settings.triton_directory,
        start_timeout_s=settings.triton.timeout_s,
    )


@contextmanager
def audit_writer(settings: Settings, role: str) -> "Iterator[AuditWriter]":
    """Open the audit trail for a command, or for the start and stop of a role."""
    from service.audit import AuditWriter
    from service.store import AuditLog

    with opened_for_role(settings) as (store, _), AuditWriter(AuditLog(store.database), role=role) as trail:
        yield trail


@contextmanager
def cget_receiver(peer: Peer, settings: Settings, store: Store) -> "Iterator[CGetReceiver]":
    """Open the storage of the receiver for images that the node fetches from a peer by C-GET."""
    from service.audit import FETCHING, AuditWriter
    from service.dimse.file_meta import TransferRoute
    from service.receive.cget_receiver import CGetReceiver
    from service.receive.store_handler import storage_of
    from service.rules import opening_sop_classes
    from service.store import AuditLog, InstanceRecorder

    opening = opening_sop_classes(rule_book(settings, store.database).current().settings)
    route = TransferRoute(
        calling_aet=peer.ae_title, called_aet=settings.receive.ae_title, peer_host=peer.host
    )
    with (
        InstanceRecorder(store.database, opening=opening) as recorder,
        AuditWriter(AuditLog(store.database), role=FETCHING) as trail,
        CGetReceiver(storage_of(settings, store.files, recorder, disk_gauge(settings)), trail, route) as it,
    ):
        yield it

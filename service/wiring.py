"""Builds every long-lived object from Settings; nothing else constructs them."""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from inference.client import TritonClient
from inference.embedded import EmbeddedTriton
from inference.errors import SpecRefused
from inference.spec import ModelSpec, load_specs
from service.assemble import Assembler, SenderCounts
from service.audit import Trail, run_forwarder
from service.config import Settings, SettingsRefused
from service.keep import Deletions, Sweeper
from service.receive.recovery import recover
from service.receive.server import Receiver
from service.scu.client import Scu
from service.scu.find import count_images
from service.send.loop import run_sender
from service.store import (
    AuditLog,
    Commitments,
    Database,
    DiskGauge,
    FileStore,
    Heartbeats,
    JobBook,
    Keeper,
    NoticeDesk,
    Outbox,
    Recorder,
    SeriesDesk,
    SignOfLife,
    WorkQueue,
    upgrade,
    utc_now,
)
from service.template import Template, TemplateRefused, default_template, load_template
from service.watch.echoes import Echoes
from service.watch.pulse import Pulse
from service.watch.role import run_watch
from service.watch.view import View
from service.watch.watcher import Parts, look_once
from service.work import FailureNotices, Worker

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Store:
    """The database and the folder of files that every role shares."""

    database: Database
    files: FileStore
    book: JobBook


@contextmanager
def opened_store(settings: Settings) -> Iterator[Store]:
    """The store of a node whose schema is up to date."""
    _prepare(settings)
    database = _database(settings)
    try:
        yield Store(database=database, files=FileStore(settings.node.storage_dir), book=JobBook(database))
    finally:
        database.close()


def model_specs(settings: Settings) -> Mapping[str, ModelSpec]:
    """The models of the repository; SettingsRefused where it is unreadable or a rule names a model it lacks."""
    try:
        specs = load_specs(settings.triton.model_repository)
    except SpecRefused as reason:
        raise SettingsRefused(f"triton.model_repository: {reason}") from reason
    for rule in settings.rules:
        if rule.model not in specs:
            raise SettingsRefused(
                f"rule {rule.name}: no model {rule.model} in {settings.triton.model_repository}; there are: "
                f"{', '.join(specs) or 'none'}"
            )
    return specs


def templates(settings: Settings, specs: Mapping[str, ModelSpec]) -> Mapping[str, Template]:
    """The structure template of each rule by the rule's name; SettingsRefused where one is wrong."""
    found: dict[str, Template] = {}
    for rule in settings.rules:
        labels = specs[rule.model].labels
        try:
            found[rule.name] = (
                default_template() if rule.template is None else load_template(rule.template, labels)
            )
        except TemplateRefused as reason:
            raise SettingsRefused(f"rule {rule.name}: {reason}") from reason
    return found


def receive(settings: Settings, stop: threading.Event) -> None:
    """The role receive, until ``stop`` is set."""
    with (
        opened_store(settings) as store,
        _pulse(store, settings, "receive"),
        Recorder(store.database) as recorder,
        Trail(AuditLog(store.database), role="receive") as trail,
    ):
        recover(store.files, store.book, recorder)
        with Receiver(
            settings,
            store.files,
            recorder,
            trail,
            commitments=Commitments(store.database),
            has_room=disk_gauge(settings),
        ):
            stop.wait()


def assemble(settings: Settings, stop: threading.Event) -> None:
    """The role assemble, until ``stop`` is set."""
    models = model_specs(settings)
    with (
        opened_store(settings) as store,
        sender_counts(settings) as counts,
        _pulse(store, settings, "assemble"),
    ):
        Assembler(
            desk=SeriesDesk(store.database),
            files=store.files,
            settings=settings,
            models=models,
            counts=counts,
            clock=utc_now,
        ).run(stop)


def sender_counts(settings: Settings) -> SenderCounts:
    """What asks senders how many images a series has."""
    patience_s = settings.assemble.count_timeout_s
    client = Scu(calling_aet=settings.send.ae_title, timeout_s=patience_s)
    return SenderCounts(
        lambda peer, study, series: count_images(client, peer, study_uid=study, series_uid=series),
        settings.peers,
        utc_now,
        every_s=settings.assemble.count_every_s,
        patience_s=2 * patience_s,
    )


def work(settings: Settings, stop: threading.Event) -> None:
    """The role work, until ``stop`` is set and the job in hand is ended."""
    models = model_specs(settings)
    with (
        opened_store(settings) as store,
        triton_client(settings) as server,
        _pulse(store, settings, "work"),
    ):
        Worker(
            name=process_name("work"),
            queue=WorkQueue(store.database),
            files=store.files,
            server=server,
            models=models,
            templates=templates(settings, models),
            settings=settings,
            notices=FailureNotices(
                desk=NoticeDesk(store.database), files=store.files, settings=settings, models=models
            ),
            has_room=disk_gauge(settings),
        ).run(stop)


def send(settings: Settings, stop: threading.Event) -> None:
    """The role send, until ``stop`` is set and what is under way is recorded."""
    with opened_store(settings) as store, _pulse(store, settings, "send"):
        run_sender(settings, Outbox(store.database), store.files, sender=process_name("send"), stop=stop)


def keep(settings: Settings, stop: threading.Event) -> None:
    """The role keep, until ``stop`` is set."""
    with opened_store(settings) as store, _pulse(store, settings, "keep"):
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


def disk_gauge(settings: Settings) -> DiskGauge:
    """What tells whether the storage folder has room."""
    return DiskGauge.of(settings.node.storage_dir, settings.keep)


def watch(settings: Settings, stop: threading.Event) -> None:
    """The role watch, until ``stop`` is set."""
    database = _database(settings)
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


def audit(settings: Settings, stop: threading.Event) -> None:
    """The role audit: forwards the trail to the repository of the settings until ``stop`` is set."""
    with opened_store(settings) as store:
        run_forwarder(settings, AuditLog(store.database), stop)


@contextmanager
def audit_trail(settings: Settings, role: str) -> Iterator[Trail]:
    """The audit trail for a command of a person, or for a role's start and stop."""
    with opened_store(settings) as store, Trail(AuditLog(store.database), role=role) as trail:
        yield trail


def triton(settings: Settings, stop: threading.Event) -> None:
    """The embedded Triton server as a role, until ``stop`` is set; raises ServerNotStarted, or ends with the server."""
    server = embedded_triton(settings)
    with server:
        log.info("the model server is ready at %s", server.url)
        while server.alive() and not stop.wait(0.5):
            pass
        if not stop.is_set():
            raise RuntimeError(f"the model server ended by itself; see {server.log_file}")


def embedded_triton(settings: Settings) -> EmbeddedTriton:
    """The embedded server of these settings, not started."""
    return EmbeddedTriton(
        python_environment=settings.triton.environment,
        model_repository=settings.triton.model_repository,
        working_directory=settings.node.storage_dir / "triton",
        grpc_port=int(settings.triton.url.rpartition(":")[2]),
        start_timeout_s=settings.triton.start_timeout_s,
    )


def triton_client(settings: Settings) -> TritonClient:
    """A connection to the model server of these settings."""
    return TritonClient(
        settings.triton.url,
        shared_memory=settings.triton.shared_memory,
        timeout_s=settings.triton.timeout_s,
    )


def process_name(role: str) -> str:
    """A name for leases that no other process has at the same time."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}"


def _prepare(settings: Settings) -> None:
    settings.node.storage_dir.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)


def _watched(settings: Settings, database: Database, server: TritonClient) -> Parts:
    return Parts(
        settings=settings,
        database=database,
        prepare=lambda: _prepare(settings),
        is_model_server_live=server.live,
        echoes=Echoes(settings),
        gauge=disk_gauge(settings),
    )


def _pulse(store: Store, settings: Settings, role: str) -> Pulse:
    return Pulse(Heartbeats(store.database), role, every_s=settings.watch.heartbeat_s)


def _database(settings: Settings) -> Database:
    return Database(
        settings.database_url,
        busy_timeout_s=settings.database.busy_timeout_s,
        connect_timeout_s=settings.database.connect_timeout_s,
        pool_size=settings.database.pool_size,
    )

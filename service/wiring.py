"""Builds the node's roles: each builder imports the libraries of its own role and returns the function that runs it."""

import logging
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from service.components import (
    Store,
    disk_gauge,
    embedded_triton,
    make_if_new,
    model_library,
    open_database,
    opened_for_role,
    opened_store,
    process_name,
    role_heartbeat,
    rule_book,
    triton_client,
)
from service.config import Settings
from service.errors import TryAgain

if TYPE_CHECKING:
    from inference.client import TritonClient
    from service.monitor.monitor import MonitorParts
    from service.monitor.node_status import NodeStatus
    from service.retention import RetentionSweep
    from service.store import Database

log = logging.getLogger(__name__)

RunRole = Callable[[Settings, threading.Event], None]  # runs until the event is set and its work is recorded
_POLL_S = 0.5


def receive() -> RunRole:
    """Build the role that receives objects."""
    from service.audit import AuditWriter
    from service.receive.server import Receiver
    from service.receive.upkeep import FollowedRules, RecoveryThread, StoreMarks
    from service.store import AuditLog, ClockWatch, Commitments, InstanceRecorder

    def run(settings: Settings, stop: threading.Event) -> None:
        # pynetdicom logs every malformed request, at any level; the receiver logs one a minute.
        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
        with (
            opened_for_role(settings) as (store, identity),
            role_heartbeat(store, settings, "receive"),
            InstanceRecorder(store.database) as recorder,
            AuditWriter(AuditLog(store.database), role="receive") as trail,
        ):
            rules = FollowedRules(rule_book(settings, store.database), recorder)
            commitments, has_room = Commitments(store.database), disk_gauge(settings)
            marks = StoreMarks(identity, ClockWatch(store.database))
            with (
                Receiver(
                    rules.settings,
                    store.files,
                    recorder,
                    trail,
                    commitments=commitments,
                    has_room=has_room,
                ) as receiver,
                RecoveryThread(store.files, store.book, recorder, identity) as recovery,
            ):
                while not stop.wait(
                    _POLL_S
                ):  # polled, because a signal during the call does not end the wait
                    if not recorder.is_alive:
                        raise TryAgain("the instance recorder has ended: the role ends, and is restarted")
                    recovery.raise_fault()
                    marks.keep()
                    rules.follow(receiver)
            identity.mark()

    return run


def assemble() -> RunRole:
    """Build the role that decides when a series is complete."""
    from service.assemble import Assembler, ReturnedSets
    from service.assemble.sender_counts import sender_counts
    from service.assemble.silence import SilenceWatch
    from service.store import ClockWatch, ReturnedSetRepository, SeriesRepository, utc_now

    def run(settings: Settings, stop: threading.Event) -> None:
        models = model_library(settings)
        with (
            opened_for_role(settings) as (store, identity),
            sender_counts(settings) as counts,
            role_heartbeat(store, settings, "assemble"),
        ):
            Assembler(
                repository=SeriesRepository(store.database),
                files=store.files,
                settings=settings,
                rules=rule_book(settings, store.database, models).current,
                models=models,
                counts=counts,
                silence=SilenceWatch(clock=utc_now, is_clock_doubtful=ClockWatch(store.database).is_doubtful),
                why_not=identity.why_not_assembling,
                returned_sets=ReturnedSets(
                    repository=ReturnedSetRepository(store.database), content=store.content
                ),
            ).run(stop)

    return run


def work() -> RunRole:
    """Build the role that contours: the only one that needs arrays and writes DICOM objects."""
    from inference.idle_models import IdleModels
    from inference.shared_region import remove_leftovers
    from service.store import FailureReportQueue, WorkQueue
    from service.work import FailureReports, Worker

    def run(settings: Settings, stop: threading.Event) -> None:
        models = model_library(settings)
        remove_leftovers()
        with (
            opened_for_role(settings) as (store, identity),
            triton_client(settings) as server,
            role_heartbeat(store, settings, "work"),
        ):
            rules = rule_book(settings, store.database, models, loads_templates=True)
            reports = FailureReports(
                queue=FailureReportQueue(store.database),
                content=store.content,
                settings=settings,
                rules=rules.of,
                models=models,
            )
            Worker(
                name=process_name("work"),
                queue=WorkQueue(store.database),
                content=store.content,
                server=server,
                models=models,
                rules=rules.for_job,
                settings=settings,
                failure_reports=reports,
                has_room=disk_gauge(settings),
                why_held=identity.why_held,
                at_rest=IdleModels(
                    control=server.models, models=models, after_s=settings.triton.unload_idle_s
                ).unload,
            ).run(stop)

    return run


def send() -> RunRole:
    """Build the role that delivers."""
    from service.send.dispatcher import run_sender
    from service.store import Outbox

    def run(settings: Settings, stop: threading.Event) -> None:
        with opened_for_role(settings) as (store, identity), role_heartbeat(store, settings, "send"):
            outbox, sender = Outbox(store.database), process_name("send")
            run_sender(settings, outbox, store.objects, sender=sender, stop=stop, identity=identity)

    return run


def retention() -> RunRole:
    """Build the role that removes expired files and verifies the others."""
    import service.retention  # noqa: F401

    def run(settings: Settings, stop: threading.Event) -> None:
        with opened_for_role(settings) as (store, _), role_heartbeat(store, settings, "retention"):
            retention_sweep(settings, store).run(stop)

    return run


def retention_sweep(settings: Settings, store: Store) -> "RetentionSweep":
    """Return the sweep that removes expired files and verifies the others."""
    from service.retention import RetentionSweep
    from service.store import ClockWatch, NodeIdentity, RetentionStore, forget_patients

    return RetentionSweep(
        keeper=RetentionStore(store.database),
        content=store.content,
        gauge=disk_gauge(settings),
        settings=settings.retention,
        clock_doubt=ClockWatch(store.database).doubt,
        why_held=NodeIdentity(store.database, settings.node.storage_dir).why_held,
        forget_patients=lambda: forget_patients(store.database),
    )


def monitor() -> RunRole:
    """Build the role that shows metrics and health and sends notifications."""
    import inference.client  # noqa: F401
    from service.monitor.role import run_monitor

    def run(settings: Settings, stop: threading.Event) -> None:
        database = open_database(settings)
        try:
            with triton_client(settings) as server:
                run_monitor(_monitor_parts(settings, database, server), stop)
        finally:
            database.close()

    return run


def web() -> RunRole:
    """Build the role that serves the web page."""
    from service.store import JobLists
    from service.web.dicomweb.store import opened_intake
    from service.web.live import LiveJobs
    from service.web.parts import WebParts
    from service.web.role import run_web

    def run(settings: Settings, stop: threading.Event) -> None:
        with (
            opened_for_role(settings) as (store, _),
            role_heartbeat(store, settings, "web"),
            opened_intake(settings, store.database, store.files, disk_gauge(settings)) as intake,
        ):
            parts = WebParts(
                settings=settings,
                database=store.database,
                content=store.content,
                models=model_library(settings),
                live=LiveJobs(JobLists(store.database)),
                look_at_node=lambda: node_status(settings),
                object_intake=intake,
            )
            run_web(parts, parts.live, stop)

    return run


def node_status(settings: Settings) -> "NodeStatus":
    """Look at the whole node once, without the role monitor; raises TryAgain if the database is not available."""
    from service.monitor.monitor import read_node_status

    with opened_store(settings) as store, triton_client(settings) as server:
        return read_node_status(_monitor_parts(settings, store.database, server))


def _monitor_parts(settings: Settings, database: "Database", server: "TritonClient") -> "MonitorParts":
    from service.monitor.echoes import PeerEchoes
    from service.monitor.monitor import MonitorParts

    return MonitorParts(
        settings=settings,
        database=database,
        prepare=lambda: make_if_new(settings),
        is_model_server_live=server.serves,
        echoes=PeerEchoes(settings),
        gauge=disk_gauge(settings),
        contracts=cache(lambda: model_library(settings)),
    )


def forward_audit() -> RunRole:
    """Build the role that forwards the audit trail to the repository named in the settings."""
    from service.audit import run_forwarder
    from service.store import AuditLog

    def run(settings: Settings, stop: threading.Event) -> None:
        with opened_for_role(settings) as (store, _), role_heartbeat(store, settings, "forward-audit"):
            run_forwarder(settings, AuditLog(store.database), stop)

    return run


def triton() -> RunRole:
    """Build the role that is the embedded model server; it raises ServerNotStarted, or ends with the server."""
    import inference.embedded  # noqa: F401

    def run(settings: Settings, stop: threading.Event) -> None:
        server = embedded_triton(settings)
        with server:
            log.info("the model server is ready at %s", server.url)
            while server.alive() and not stop.wait(_POLL_S):
                pass
            if not stop.is_set():
                raise RuntimeError(f"the model server ended unexpectedly; see {server.log_file}")

    return run


ROLES: dict[str, Callable[[], RunRole]] = {  # the builder of each role, by the verb that runs it
    "receive": receive,
    "assemble": assemble,
    "work": work,
    "send": send,
    "retention": retention,
    "monitor": monitor,
    "web": web,
    "forward-audit": forward_audit,
    "triton": triton,
}

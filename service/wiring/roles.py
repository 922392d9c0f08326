"""The roles, each with what it is built of."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.assemble import Assembler, SenderCounts
from service.audit import Trail, run_forwarder
from service.config import Settings
from service.keep import Deletions, Sweeper
from service.receive.recovery import recover
from service.receive.server import Receiver
from service.scu.client import Scu
from service.scu.find import count_images
from service.send.loop import run_sender
from service.store import (
    AuditLog,
    Commitments,
    Keeper,
    NoticeDesk,
    Outbox,
    Recorder,
    SeriesDesk,
    WorkQueue,
    utc_now,
)
from service.wiring.models import embedded_triton, model_specs, templates, triton_client
from service.wiring.store import Store, disk_gauge, opened_store, process_name
from service.wiring.watching import pulse
from service.work import FailureNotices, Worker

log = logging.getLogger(__name__)


def receive(settings: Settings, stop: threading.Event) -> None:
    """The role receive, until ``stop`` is set."""
    with (
        opened_store(settings) as store,
        pulse(store, settings, "receive"),
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
        pulse(store, settings, "assemble"),
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
        pulse(store, settings, "work"),
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
    with opened_store(settings) as store, pulse(store, settings, "send"):
        run_sender(settings, Outbox(store.database), store.files, sender=process_name("send"), stop=stop)


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


def audit(settings: Settings, stop: threading.Event) -> None:
    """The role audit: forwards the trail to the repository of the settings until ``stop`` is set."""
    with opened_store(settings) as store, pulse(store, settings, "forward-audit"):
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

"""The role that takes images in."""

import logging
import threading

from service.audit import AuditWriter
from service.config import Settings
from service.errors import TryAgain
from service.receive.recovery import recover
from service.receive.server import Receiver
from service.store import AuditLog, Commitments, InstanceRecorder
from service.wiring.store import disk_gauge, opened_store, pulse

_LOOK_EVERY_S = 0.5


def receive(settings: Settings, stop: threading.Event) -> None:
    """The role receive, until ``stop`` is set."""
    # It complains of every mutated request, at any level; the receiver itself tells of it once a minute.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    with (
        opened_store(settings) as store,
        pulse(store, settings, "receive"),
        InstanceRecorder(store.database) as recorder,
        AuditWriter(AuditLog(store.database), role="receive") as trail,
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
            while not stop.wait(_LOOK_EVERY_S):  # a signal that comes as the wait begins does not end it
                if not recorder.is_alive:
                    raise TryAgain("nothing can be recorded any more: the role ends, to be started again")

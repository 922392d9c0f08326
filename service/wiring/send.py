"""The role that delivers."""

import threading

from service.config import Settings
from service.send.dispatcher import run_sender
from service.store import Outbox
from service.wiring.store import opened_store, process_name, pulse


def send(settings: Settings, stop: threading.Event) -> None:
    """The role send, until ``stop`` is set and what is under way is recorded."""
    with opened_store(settings) as store, pulse(store, settings, "send"):
        run_sender(settings, Outbox(store.database), store.files, sender=process_name("send"), stop=stop)

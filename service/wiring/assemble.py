"""The role that decides when a series is complete."""

import threading

from service.assemble import Assembler, SenderCounts
from service.config import Settings
from service.scu.client import Scu
from service.scu.find import count_images
from service.store import SeriesRepository, utc_now
from service.wiring.models import model_library
from service.wiring.store import opened_store, pulse


def assemble(settings: Settings, stop: threading.Event) -> None:
    """The role assemble, until ``stop`` is set."""
    models = model_library(settings)
    with (
        opened_store(settings) as store,
        sender_counts(settings) as counts,
        pulse(store, settings, "assemble"),
    ):
        Assembler(
            desk=SeriesRepository(store.database),
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

"""What is held at a stop is given back one by one, or said not to be."""

import logging
import random
import threading

import pytest

from service.config import AdvancedSettings, SendSettings
from service.send.destination_worker import DestinationWorker, WorkerContext
from service.store import ClaimedDelivery, DatabaseUnavailable, Outbox


class AwayOnce(Outbox):
    """An outbox whose database is away at the first call that gives something back."""

    def __init__(self, outbox: Outbox) -> None:
        self.__dict__.update(outbox.__dict__)
        self.asked: list[int] = []

    def give_back(self, claim: ClaimedDelivery) -> bool:
        self.asked.append(claim.id)
        if len(self.asked) == 1:
            raise DatabaseUnavailable("away")
        return super().give_back(claim)


def test_without_a_database_the_others_are_given_back_all_the_same(office, caplog):
    for number in (1, 2):
        office.delivering(number, "tps")
    outbox = AwayOnce(Outbox(office.database))
    claims = [outbox.claim_delivery("s1", lease_s=60) for _ in range(2)]
    stop = threading.Event()
    stop.set()
    worker = DestinationWorker(
        "tps",
        WorkerContext(
            outbox=outbox,
            objects=office.objects,
            transport_of=pytest.fail,
            destination_of=pytest.fail,
            settings=SendSettings(),
            advanced=AdvancedSettings(),
            rng=random.Random(1),
            stop=stop,
        ),
    )
    for claim in claims:
        worker.add(claim)
    with caplog.at_level(logging.WARNING):
        worker.start()
        worker.join()
    assert outbox.asked == [claim.id for claim in claims]
    assert "not given back; its lease will end" in caplog.text
    again = outbox.claim_delivery("s2", lease_s=60)
    assert again is not None
    assert again.id == claims[1].id
    assert outbox.claim_delivery("s2", lease_s=60) is None

"""What is held at a stop is given back one by one, or said not to be; nothing is sent before the folder knows of it."""

import logging
import random
import threading
from pathlib import Path

import pytest

from service.config import AdvancedSettings, Peer
from service.scu.outcome import Sent
from service.send.destination_worker import DestinationWorker, WorkerContext
from service.store import ClaimedDelivery, DatabaseUnavailable, DeliveryState, Outbox, StorageUnavailable
from tests.support.office import eventually


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
    assert "delivery not released; its lease will expire" in caplog.text
    again = outbox.claim_delivery("s2", lease_s=60)
    assert again is not None
    assert again.id == claims[1].id
    assert outbox.claim_delivery("s2", lease_s=60) is None


@pytest.mark.parametrize("may_send", [True, False])
def test_the_folder_knows_of_a_delivery_before_it_is_sent(office, may_send):
    job = office.delivering(1, "tps")
    outbox, stop, happened = Outbox(office.database), threading.Event(), []

    def mark() -> bool:
        happened.append("mark")
        if len(happened) == 1:
            raise StorageUnavailable("the disk is away for a moment")
        assert office.book.deliveries(job)[0].state is DeliveryState.SENDING
        return may_send

    class Destination:
        def store(self, _: Path) -> Sent:
            happened.append("sent")
            return Sent(note="")

    worker = DestinationWorker(
        "tps",
        WorkerContext(
            outbox=outbox,
            objects=office.objects,
            transport_of=lambda _: Destination(),
            destination_of=lambda _: Peer(ae_title="TPS", host="127.0.0.1", port=104),
            advanced=AdvancedSettings(poll_s=0.01),
            rng=random.Random(1),
            stop=stop,
            mark=mark,
        ),
    )
    worker.add(outbox.claim_delivery("s1", lease_s=60))
    worker.start()
    wanted = DeliveryState.SENT if may_send else DeliveryState.PENDING
    eventually(lambda: office.book.deliveries(job)[0].state is wanted)
    stop.set()
    worker.join()
    assert happened == ["mark", "mark", "sent"] if may_send else ["mark", "mark"]

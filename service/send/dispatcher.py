"""The sender: takes deliveries from the store, hands each to its destination's lane and keeps their leases."""

import logging
import random
import threading
import time

from service.config import Settings
from service.send.destination_worker import DestinationWorker, WorkerContext
from service.send.transport import Transport
from service.store import DatabaseUnavailable, FileStore, Outbox

log = logging.getLogger(__name__)


def run_sender(
    settings: Settings, outbox: Outbox, files: FileStore, *, sender: str, stop: threading.Event
) -> None:
    """Delivers what waits until ``stop`` is set; what is under way then is finished and recorded.

    Args:
        settings: where the destinations are and how often they are tried.
        outbox: the deliveries.
        files: where the objects lie.
        sender: this process's name in the leases; no two processes share one.
        stop: set to end.
    """
    door = Transport(outbox=outbox, files=files, settings=settings.send)
    desk = WorkerContext(
        outbox=outbox,
        store=door.store,
        ask=door.ask,
        destination_of=settings.destination,
        settings=settings.send,
        chance=random.Random(),
        stop=stop,
    )
    Dispatcher(desk, sender).run()


class Dispatcher:
    """Claims deliveries for all destinations and keeps their leases while they wait or are sent."""

    def __init__(self, desk: WorkerContext, sender: str) -> None:
        self._desk = desk
        self._sender = sender
        self._lanes: dict[str, DestinationWorker] = {}
        self._renewed_at = time.monotonic()

    def run(self) -> None:
        """Works until the desk's stop is set; returns when every lane has come to its end."""
        settings = self._desk.settings
        try:
            while not self._desk.stop.is_set():
                try:
                    self._renew()
                    claim = self._desk.outbox.claim_delivery(self._sender, lease_s=settings.lease_s)
                except DatabaseUnavailable as error:
                    log.warning("no delivery claimed", extra={"reason": str(error)})
                    claim = None
                if claim is None:
                    self._desk.stop.wait(settings.poll_s)
                else:
                    self._lane(claim.destination).add(claim)
        finally:
            self._desk.stop.set()
            for lane in self._lanes.values():
                lane.join()

    def _lane(self, destination: str) -> DestinationWorker:
        lane = self._lanes.get(destination)
        if lane is None or not lane.is_alive:
            lane = self._lanes[destination] = DestinationWorker(destination, self._desk)
            lane.start()
        return lane

    def _renew(self) -> None:
        """Prolongs every lease after a third of it; what belongs to another sender by now is dropped."""
        lease_s = self._desk.settings.lease_s
        if time.monotonic() - self._renewed_at < lease_s / 3:
            return
        self._renewed_at = time.monotonic()
        for lane in self._lanes.values():
            for claim in lane.held() if lane.is_alive else ():
                if not self._desk.outbox.heartbeat(claim, lease_s=lease_s):
                    lane.drop(claim)

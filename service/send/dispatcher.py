"""Claim deliveries from the store, hand each to its destination's worker, and renew the leases."""

import logging
import random
import threading
import time
from collections.abc import Callable

from service.config import Destination, Peer, Settings, WebDestination
from service.errors import TryAgain
from service.scu.client import Scu
from service.send.destination_worker import DestinationWorker, WorkerContext
from service.send.dimse_transport import DimseTransport
from service.send.stow import StowTransport
from service.send.transport import Transport
from service.store import ClaimedDelivery, NodeIdentity, Outbox
from service.store.objects import ObjectStore

log = logging.getLogger(__name__)


def run_sender(
    settings: Settings,
    outbox: Outbox,
    objects: ObjectStore,
    *,
    sender: str,
    stop: threading.Event,
    identity: NodeIdentity,
) -> None:
    """Deliver pending objects until ``stop`` is set; deliveries under way are then finished and recorded.

    Args:
        settings: the destinations and their retry policies.
        outbox: the deliveries.
        objects: the object store with the artifacts.
        sender: this process's name in the leases, unique among processes.
        stop: set to end.
        identity: says why nothing may be delivered at the moment, and records what is about to be sent.
    """
    context = WorkerContext(
        outbox=outbox,
        objects=objects,
        transport_of=lambda destination: transport_of(destination, settings, outbox),
        destination_of=settings.destination,
        advanced=settings.advanced,
        rng=random.Random(),
        stop=stop,
        mark=identity.mark,
    )
    Dispatcher(context, sender, identity.why_held).run()


class Dispatcher:
    """Claims deliveries for all destinations and renews their leases while they wait or are being sent."""

    def __init__(self, context: WorkerContext, sender: str, why_held: Callable[[], str] = lambda: "") -> None:
        self._context = context
        self._why_held = why_held
        self._held_for = ""
        self._sender = sender
        self._workers: dict[str, DestinationWorker] = {}
        self._renewed_at = time.monotonic()

    def run(self) -> None:
        """Run until stop is set; return when every worker has ended."""
        try:
            while not self._context.stop.is_set():
                try:
                    self._renew()
                    claim = self._claim()
                except TryAgain as error:
                    log.warning("no delivery can be claimed", extra={"reason": str(error)})
                    claim = None
                if claim is None:
                    self._context.stop.wait(self._context.advanced.poll_s)
                else:
                    self._worker(claim.destination).add(claim)
        finally:
            self._context.stop.set()
            for worker in self._workers.values():
                worker.join()

    def _claim(self) -> ClaimedDelivery | None:
        reason = self._why_held()
        if reason and reason != self._held_for:
            log.warning("nothing is delivered", extra={"reason": reason})
        self._held_for = reason
        if reason:
            return None
        lease_s = self._context.advanced.silent_s
        return self._context.outbox.claim_delivery(self._sender, lease_s=lease_s)

    def _worker(self, destination: str) -> DestinationWorker:
        worker = self._workers.get(destination)
        if worker is None or not worker.is_alive:
            worker = self._workers[destination] = DestinationWorker(destination, self._context)
            worker.start()
        return worker

    def _renew(self) -> None:
        """Renew each lease after a third of its time; drop deliveries that another process now holds."""
        lease_s = self._context.advanced.silent_s
        if time.monotonic() - self._renewed_at < lease_s / 3:
            return
        self._renewed_at = time.monotonic()
        for worker in self._workers.values():
            for claim in worker.held() if worker.is_alive else ():
                if not self._context.outbox.heartbeat(claim, lease_s=lease_s):
                    worker.drop(claim)


def transport_of(destination: Destination, settings: Settings, outbox: Outbox) -> Transport:
    """Return a destination's transport: DIMSE for a peer, STOW-RS for a DICOMweb server."""
    timeout_s = destination.timeout_s
    if isinstance(destination, WebDestination):
        return StowTransport(destination=destination, timeout_s=timeout_s)
    if isinstance(destination, Peer):
        scu = Scu(calling_aet=settings.send.ae_title, timeout_s=timeout_s)
        return DimseTransport(peer=destination, scu=scu, outbox=outbox, timeout_s=timeout_s)
    raise AssertionError(f"no transport is known for a {type(destination).__name__}")

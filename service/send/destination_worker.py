"""One destination's deliveries, in order, in a separate thread, so that no destination waits for another."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from service.config import AdvancedSettings, Destination
from service.scu.outcome import Outcome, PermanentRefusal, Sent
from service.send.confirmation import Committed, Confirmation
from service.send.delivery_policy import DeliveryPolicy
from service.send.transport import Transport, attempt
from service.store import ClaimedDelivery, DatabaseUnavailable, Outbox, StorageUnavailable
from service.store.objects import ObjectStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What all destination workers share.

    ``mark`` records in the storage folder that something is about to be sent, so that a database restored from before
    no longer matches the folder; it returns False if the node is held.
    """

    outbox: Outbox
    objects: ObjectStore
    transport_of: Callable[[Destination], Transport]
    destination_of: Callable[[str], Destination | None]
    advanced: AdvancedSettings
    rng: random.Random
    stop: threading.Event
    mark: Callable[[], bool] = lambda: True


class DestinationWorker:
    """Deliveries to one destination."""

    def __init__(self, destination: str, context: WorkerContext) -> None:
        self._destination = destination
        self._context = context
        self._lock = threading.Condition()
        self._waiting: list[ClaimedDelivery] = []
        self._current: ClaimedDelivery | None = None
        self._thread = threading.Thread(target=self._run, name=f"send-{destination}")

    @property
    def is_alive(self) -> bool:
        """Tell whether its thread is running."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start sending; call once per worker."""
        self._thread.start()

    def add(self, claim: ClaimedDelivery) -> None:
        """Queue a delivery behind those of more urgent jobs, and behind older ones."""
        with self._lock:
            self._waiting.append(claim)
            self._waiting.sort(key=lambda one: (-one.priority, one.id))
            self._lock.notify()

    def held(self) -> list[ClaimedDelivery]:
        """Return the deliveries whose leases must be renewed: the one being sent and those waiting."""
        with self._lock:
            return [*([self._current] if self._current is not None else []), *self._waiting]

    def drop(self, claim: ClaimedDelivery) -> None:
        """Drop a waiting delivery whose lease another process now holds."""
        with self._lock:
            if claim in self._waiting:
                self._waiting.remove(claim)

    def join(self) -> None:
        """After stop is set: wait until the current delivery is recorded and the waiting ones are released."""
        with self._lock:
            self._lock.notify()
        self._thread.join()

    def _run(self) -> None:
        claim = self._next()
        while claim is not None:
            self._deliver(claim)
            claim = self._next()
        for claim in self.held():
            self._give_back(claim)

    def _next(self) -> ClaimedDelivery | None:
        with self._lock:
            self._current = None
            while not self._waiting and not self._context.stop.is_set():
                self._lock.wait()
            self._current = None if self._context.stop.is_set() else self._waiting.pop(0)
            return self._current

    def _deliver(self, claim: ClaimedDelivery) -> None:
        """Send one delivery and record the result, if this process still holds the lease."""
        context = self._context
        about = {"job_id": claim.job_id, "attempt": claim.attempt}
        if not self._write(lambda: context.outbox.begin(claim, lease_s=context.advanced.silent_s)):
            log.info("delivery dropped: the lease is lost", extra=self._about(**about))
            return
        if not self._write(context.mark):
            self._give_back(claim)
            log.info("delivery not started: the node is held or stopping", extra=self._about(**about))
            return
        result = self._attempt(claim)
        about_it = self._about(**about, reason=_reason(result))
        log.info("delivery: %s", type(result).__name__, extra=about_it)
        if not self._write(lambda: self._record(claim, result)):
            log.warning("the result of a delivery was not recorded", extra=self._about(**about))

    def _attempt(self, claim: ClaimedDelivery) -> Outcome | Confirmation:
        destination = self._context.destination_of(self._destination)
        if destination is None:
            return PermanentRefusal(reason=f"the settings have no peer named {self._destination}")
        return attempt(claim, destination, self._context.transport_of(destination), self._context.objects)

    def _record(self, claim: ClaimedDelivery, result: Outcome | Confirmation) -> bool:
        context = self._context
        policy = DeliveryPolicy.of(context.destination_of(self._destination), context.advanced)
        return policy.record(context.outbox, claim, result, context.rng)

    def _write(self, write: Callable[[], bool]) -> bool:
        """Retry ``write`` while database or storage is unavailable; return False if the node stops first."""
        while True:
            try:
                return write()
            except (DatabaseUnavailable, StorageUnavailable) as error:
                log.warning("nothing can be recorded", extra=self._about(reason=str(error)))
            if self._context.stop.wait(self._context.advanced.poll_s):
                return False

    def _give_back(self, claim: ClaimedDelivery) -> None:
        """Release the lease, so that another sender can take the delivery at once."""
        try:
            self._context.outbox.give_back(claim)
        except DatabaseUnavailable as error:
            log.warning("delivery not released; its lease will expire", extra=self._about(reason=str(error)))

    def _about(self, **more: object) -> dict[str, object]:
        return {"destination": self._destination, **more}


def _reason(result: Outcome | Confirmation) -> str:
    if isinstance(result, Sent):
        return result.note
    return result.how if isinstance(result, Committed) else result.reason

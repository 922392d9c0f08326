"""One destination's deliveries, one after another in a thread of their own, so that no destination waits for another."""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from service.config import Confirm, Destination, SendSettings
from service.scu.outcome import Outcome, PermanentRefusal, Sent, TransientFailure
from service.send.backoff import Backoff
from service.send.confirmation import Committed, Confirmation, NotStored, Unconfirmed
from service.send.delivery_policy import DeliveryPolicy, terms_of
from service.store import ClaimedDelivery, DatabaseUnavailable, Outbox

log = logging.getLogger(__name__)

Store = Callable[[ClaimedDelivery, Destination], Outcome]
Ask = Callable[[ClaimedDelivery, Destination], Confirmation]


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What every lane works with."""

    outbox: Outbox
    store: Store
    ask: Ask
    destination_of: Callable[[str], Destination | None]
    settings: SendSettings
    chance: random.Random
    stop: threading.Event


class DestinationWorker:
    """Deliveries to one destination."""

    def __init__(self, destination: str, desk: WorkerContext) -> None:
        self._destination = destination
        self._desk = desk
        self._lock = threading.Condition()
        self._waiting: list[ClaimedDelivery] = []
        self._current: ClaimedDelivery | None = None
        self._thread = threading.Thread(target=self._run, name=f"send-{destination}")

    @property
    def is_alive(self) -> bool:
        """Whether its thread still works."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins to send; once per lane."""
        self._thread.start()

    def add(self, claim: ClaimedDelivery) -> None:
        """Queues a delivery behind those of more urgent jobs, and behind older ones."""
        with self._lock:
            self._waiting.append(claim)
            self._waiting.sort(key=lambda one: (-one.priority, one.created_at, one.id))
            self._lock.notify()

    def held(self) -> list[ClaimedDelivery]:
        """Returns the deliveries whose lease must be kept: the one under way and those that wait."""
        with self._lock:
            return [*([self._current] if self._current is not None else []), *self._waiting]

    def drop(self, claim: ClaimedDelivery) -> None:
        """Forgets a waiting delivery that belongs to somebody else now."""
        with self._lock:
            if claim in self._waiting:
                self._waiting.remove(claim)

    def join(self) -> None:
        """Waits until the delivery under way is recorded and the waiting ones are given back, once stop is set."""
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
            while not self._waiting and not self._desk.stop.is_set():
                self._lock.wait()
            self._current = None if self._desk.stop.is_set() else self._waiting.pop(0)
            return self._current

    def _deliver(self, claim: ClaimedDelivery) -> None:
        """Sends one delivery and writes what came of it, if it is still ours when its turn comes."""
        desk = self._desk
        about = {"job_id": claim.job_id, "attempt": claim.attempt}
        if not self._write(lambda: desk.outbox.begin(claim, lease_s=desk.settings.lease_s)):
            log.info("delivery dropped: not ours any more", extra=self._about(**about))
            return
        outcome = self._attempt(claim)
        about_it = self._about(**about, reason=_reason(outcome))
        log.info("delivery: %s", type(outcome).__name__, extra=about_it)
        if not self._write(lambda: self._record(claim, outcome)):
            log.warning("the result of a delivery was not written", extra=self._about(**about))

    def _attempt(self, claim: ClaimedDelivery) -> Outcome | Confirmation:
        destination = self._desk.destination_of(self._destination)
        if destination is None:
            return PermanentRefusal(
                reason=f"no destination or peer named {self._destination} stands in the settings"
            )
        return self._desk.ask(claim, destination) if claim.is_sent else self._desk.store(claim, destination)

    def _record(self, claim: ClaimedDelivery, outcome: Outcome | Confirmation) -> bool:
        desk, terms = self._desk, self._terms()
        if isinstance(outcome, Sent):
            return desk.outbox.sent(
                claim, note=outcome.note, is_confirmed_later=terms.confirm is not Confirm.NONE
            )
        if isinstance(outcome, PermanentRefusal):
            return desk.outbox.rejected(claim, reason=outcome.reason)
        if isinstance(outcome, Committed):
            return desk.outbox.confirmed(claim, how=outcome.how)
        if isinstance(outcome, Unconfirmed):
            return desk.outbox.unconfirmed(
                claim, reason=outcome.reason, max_asks=terms.confirm_attempts, delay_s=terms.confirm_s
            )
        return self._try_later(claim, outcome, terms)

    def _try_later(
        self, claim: ClaimedDelivery, outcome: TransientFailure | NotStored, terms: DeliveryPolicy
    ) -> bool:
        """Have a failed attempt made again, when the destination says or after a delay that grows."""
        backoff = Backoff(first_s=terms.backoff_s, longest_s=terms.backoff_max_s)
        delay_s = backoff.delay_s(claim.attempt, self._desk.chance)
        outbox, limit = self._desk.outbox, terms.max_attempts
        if isinstance(outcome, NotStored):
            return outbox.retry_later(claim, reason=outcome.reason, max_attempts=limit, delay_s=delay_s)
        delay_s = max(delay_s, outcome.retry_after_s or 0.0)
        if claim.is_sent:
            return outbox.not_asked(claim, reason=outcome.reason, max_attempts=limit, delay_s=delay_s)
        return outbox.retry_later(
            claim,
            reason=outcome.reason,
            max_attempts=limit,
            delay_s=delay_s,
            unreachable=outcome.is_unreachable,
        )

    def _terms(self) -> DeliveryPolicy:
        return terms_of(self._desk.destination_of(self._destination), self._desk.settings)

    def _write(self, write: Callable[[], bool]) -> bool:
        """Returns what ``write`` does, however long the database is away; False where the node stops before."""
        while True:
            try:
                return write()
            except DatabaseUnavailable as error:
                log.warning("the database is away", extra=self._about(reason=str(error)))
            if self._desk.stop.wait(self._desk.settings.poll_s):
                return False

    def _give_back(self, claim: ClaimedDelivery) -> None:
        """Lets another sender have the delivery at once."""
        try:
            self._desk.outbox.give_back(claim)
        except DatabaseUnavailable as error:
            log.warning("not given back; its lease will end", extra=self._about(reason=str(error)))

    def _about(self, **more: object) -> dict[str, object]:
        return {"destination": self._destination, **more}


def _reason(outcome: Outcome | Confirmation) -> str:
    if isinstance(outcome, Sent):
        return outcome.note
    return outcome.how if isinstance(outcome, Committed) else outcome.reason

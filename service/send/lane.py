"""One destination's deliveries, one after another in a thread of their own, so that no destination waits for another."""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from service.config import Peer, SendSettings
from service.scu.outcome import Outcome, PermanentRefusal, Sent
from service.send.backoff import Backoff
from service.store import ClaimedDelivery, DatabaseUnavailable, Outbox

log = logging.getLogger(__name__)

Store = Callable[[ClaimedDelivery, Peer], Outcome]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What every lane works with."""

    outbox: Outbox
    store: Store
    peer_of: Callable[[str], Peer | None]
    settings: SendSettings
    chance: random.Random
    stop: threading.Event


class Lane:
    """Deliveries to one destination."""

    def __init__(self, destination: str, desk: Desk) -> None:
        self._destination = destination
        self._desk = desk
        self._lock = threading.Condition()
        self._waiting: deque[ClaimedDelivery] = deque()
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
        """Queues a delivery behind those that came before."""
        with self._lock:
            self._waiting.append(claim)
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
            self._current = None if self._desk.stop.is_set() else self._waiting.popleft()
            return self._current

    def _deliver(self, claim: ClaimedDelivery) -> None:
        """Sends one delivery and writes what came of it, if it is still ours when its turn comes."""
        desk = self._desk
        about = {"job_id": claim.job_id, "attempt": claim.attempt}
        if not self._write(lambda: desk.outbox.heartbeat(claim, lease_s=desk.settings.lease_s)):
            log.info("delivery dropped: not ours any more", extra=self._about(**about))
            return
        outcome = self._attempt(claim)
        said = outcome.note if isinstance(outcome, Sent) else outcome.reason
        log.info("delivery: %s", type(outcome).__name__, extra=self._about(**about, reason=said))
        if not self._write(lambda: self._record(claim, outcome)):
            log.warning("the result of a delivery was not written", extra=self._about(**about))

    def _attempt(self, claim: ClaimedDelivery) -> Outcome:
        peer = self._desk.peer_of(self._destination)
        if peer is None:
            return PermanentRefusal(
                reason=f"no destination or peer named {self._destination} stands in the settings"
            )
        return self._desk.store(claim, peer)

    def _record(self, claim: ClaimedDelivery, outcome: Outcome) -> bool:
        desk = self._desk
        if isinstance(outcome, Sent):
            return desk.outbox.sent(claim)
        if isinstance(outcome, PermanentRefusal):
            return desk.outbox.rejected(claim, reason=outcome.reason)
        backoff = Backoff(first_s=desk.settings.backoff_s, longest_s=desk.settings.backoff_max_s)
        return desk.outbox.retry_later(
            claim,
            reason=outcome.reason,
            max_attempts=desk.settings.max_attempts,
            delay_s=backoff.delay_s(claim.attempt, desk.chance),
        )

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
        """Lets another sender have the delivery at once; the attempt that was none cannot park it."""
        try:
            self._desk.outbox.retry_later(
                claim, reason="the sender stopped before its turn", max_attempts=claim.attempt + 1, delay_s=0
            )
        except DatabaseUnavailable as error:
            log.warning("not given back; its lease will end", extra=self._about(reason=str(error)))

    def _about(self, **more: object) -> dict[str, object]:
        return {"destination": self._destination, **more}

"""Addresses that gave wrong passwords, and how long they wait."""

import threading
from datetime import datetime

from service.store import wait_after

MOST = 10_000


class AddressWaits:
    """Counts wrong passwords by address, in this process; safe to use from many threads.

    An address may be a whole hospital behind one router: it waits only after many times as many failures as a user.
    """

    TRIES_OF_A_USER = 4

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, datetime]] = {}
        self._lock = threading.Lock()

    def failed(self, address: str, now: datetime) -> None:
        """Count a wrong password from an address."""
        with self._lock:
            count, _ = self._failures.get(address, (0, now))
            if len(self._failures) >= MOST:
                self._failures = {one: kept for one, kept in self._failures.items() if kept[1] > now}
            self._failures[address] = (count + 1, now + wait_after((count + 1) // self.TRIES_OF_A_USER))

    def until(self, address: str, now: datetime) -> datetime | None:
        """Give the time until which an address must wait; None: it need not."""
        with self._lock:
            _, until = self._failures.get(address, (0, now))
        return until if until > now else None

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address from which somebody signed in."""
        with self._lock:
            self._failures.pop(address, None)

"""What this process remembers for a while: addresses with wrong passwords, recent looks, sign-ins that have begun."""

import threading
import time
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any

from service.errors import Refused
from service.store.web.accounts import is_waiting, wait_after
from service.web.translation import _

MOST = 10_000
LOOK_LASTS_S = 60.0
BEGUN_LASTS_S = 600.0


class AddressWaits:
    """Counts wrong passwords by address, in this process; safe to use from many threads.

    An address may be a whole hospital behind one router: it must wait only after four times as many failures as a user.
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
                self._failures = {
                    one: kept for one, kept in self._failures.items() if is_waiting(kept[1], now)
                }
            self._failures[address] = (count + 1, now + wait_after((count + 1) // self.TRIES_OF_A_USER))

    def until(self, address: str, now: datetime) -> datetime | None:
        """Return the time until which an address must wait; None if it need not."""
        with self._lock:
            _, until = self._failures.get(address, (0, now))
        return until if is_waiting(until, now) else None

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address from which somebody signed in."""
        with self._lock:
            self._failures.pop(address, None)


class Recent:
    """What was looked at within the last minute, so that a page that refreshes itself does not fill the audit trail.

    Safe to use from many threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def is_first(self, key: Hashable) -> bool:
        """Tell whether this key was not asked for within the last minute."""
        now = self._clock()
        with self._lock:
            if self._until.get(key, 0.0) > now:
                return False
            if len(self._until) >= MOST:
                self._until = {one: until for one, until in self._until.items() if until > now}
            self._until[key] = now + LOOK_LASTS_S
            return True


class BegunSignIns:
    """What is kept of sign-ins at the provider until the browser returns; each can be used once, within ten minutes."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def put(self, secret: str, session: dict[str, Any]) -> None:
        """Keep what belongs to a browser's secret."""
        now = time.monotonic()
        with self._lock:
            self._kept = {key: one for key, one in self._kept.items() if one[0] > now}
            if len(self._kept) >= MOST:
                raise Refused(_("too many sign-ins have been started; try again in a few minutes"))
            self._kept[secret] = (now + BEGUN_LASTS_S, session)

    def take(self, secret: str) -> dict[str, Any]:
        """Return and forget what belongs to a secret; empty if there is nothing, or its time is over."""
        with self._lock:
            ends, session = self._kept.pop(secret, (0.0, {}))
        return session if ends > time.monotonic() else {}

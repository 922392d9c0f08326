"""Remembers for a minute what somebody looked at, so that a page which refreshes itself does not fill the trail."""

import threading
import time
from collections.abc import Callable, Hashable

LASTS_S = 60.0
MOST = 10_000


class Recent:
    """Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def is_first(self, key: Hashable) -> bool:
        """Tell whether nobody asked for this key within the last minute."""
        now = self._clock()
        with self._lock:
            if self._until.get(key, 0.0) > now:
                return False
            if len(self._until) >= MOST:
                self._until = {one: until for one, until in self._until.items() if until > now}
            self._until[key] = now + LASTS_S
            return True

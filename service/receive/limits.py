"""Limits for each address: open associations, connections a minute, and repeated log lines."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

REMEMBERED = 4096
"""Most addresses, or log reasons, that are remembered; the least recently used is forgotten first."""

MonotonicClock = Callable[[], float]


class AssociationLimit:
    """Counts the associations that are open, up to a limit in all and one for each address."""

    def __init__(self, limit: int, limit_per_address: int) -> None:
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._taken: Counter[str] = Counter()
        self._lock = Lock()

    def take(self, host: str) -> bool:
        """Count one more association of the host; False, uncounted, if a limit is reached."""
        with self._lock:
            if self._taken.total() >= self._limit or self._taken[host] >= self._limit_per_address:
                return False
            self._taken[host] += 1
            return True

    def give_back(self, host: str) -> None:
        """Count one association less."""
        with self._lock:
            self._taken[host] -= 1
            if not self._taken[host]:
                del self._taken[host]


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """A token bucket for each address: a minute's worth at once, then so many a minute. Safe to use from many threads."""

    def __init__(self, per_minute: int, clock: MonotonicClock = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, host: str) -> bool:
        """Return whether this connection is within the rate."""
        with self._lock:
            bucket = self._bucket(host, self._clock())
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True

    def _bucket(self, host: str, now: float) -> _Bucket:
        bucket = self._buckets.setdefault(host, _Bucket(self._per_minute, now))
        self._buckets.move_to_end(host)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        refill = (now - bucket.filled_at) * self._per_minute / 60
        bucket.tokens, bucket.filled_at = min(self._per_minute, bucket.tokens + refill), now
        return bucket

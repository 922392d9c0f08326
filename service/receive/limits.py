"""Limits per address: open associations and connections per minute."""

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from service.receive.admission import peer_address

REMEMBERED = 4096
"""Most addresses, or log reasons, that are remembered; the least recently used is forgotten first."""

KEPT_PART = 4
"""One in this many places is reserved for addresses of peers."""

MonotonicClock = Callable[[], float]


class AssociationLimit:
    """Counts open associations, up to a total limit and a limit per address.

    If addresses of peers are known, a quarter of all places is reserved for them, so that strangers cannot take every
    place.
    """

    def __init__(self, limit: int, limit_per_address: int, known_networks: Sequence[str] = ()) -> None:
        self._limit = limit
        self._limit_per_address = limit_per_address
        self._known = [ipaddress.ip_network(network) for network in known_networks]
        self._places_of_strangers = limit - -(-limit // KEPT_PART) if self._known else limit
        self._taken: Counter[str] = Counter()
        self._strangers = 0
        self._lock = Lock()

    def take(self, host: str) -> bool:
        """Count one more association of the host; False, uncounted, if a limit is reached."""
        is_known = self._is_known(host)
        with self._lock:
            if self._taken.total() >= self._limit or self._taken[host] >= self._limit_per_address:
                return False
            if not is_known and self._strangers >= self._places_of_strangers:
                return False
            self._taken[host] += 1
            self._strangers += not is_known
            return True

    def give_back(self, host: str) -> None:
        """Count one association less."""
        is_known = self._is_known(host)
        with self._lock:
            self._strangers -= not is_known
            self._taken[host] -= 1
            if not self._taken[host]:
                del self._taken[host]

    def _is_known(self, host: str) -> bool:
        return bool(self._known) and any(peer_address(host) in network for network in self._known)


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """A token bucket per address: a minute's worth at once, then a fixed number per minute. Thread-safe."""

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

"""Measure how long a series has been quiet, in such a way that setting the clock neither ends nor prolongs the wait."""

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from service.store import Clock


@dataclass(kw_only=True)
class SilenceWatch:
    """Measures silence by the monotonic clock, over the polls of one process.

    The wall clock is used only for how old an image was when it was first seen, limited to the time since the previous
    poll: the image came after that. At a process's first poll the clock is trusted unless there is evidence against it.
    """

    clock: Clock
    monotonic: Callable[[], float] = time.monotonic
    is_clock_doubtful: Callable[[], bool] = lambda: False
    _began: dict[Hashable, tuple[datetime, float]] = field(default_factory=dict)
    _touched: set[Hashable] = field(default_factory=set)
    _looked_at_s: float | None = None
    _now: datetime = field(init=False)
    _now_s: float = field(init=False)
    _oldest_s: float = field(init=False)  # an image not seen in the previous poll is no older than this

    def __post_init__(self) -> None:
        """Begin the first poll."""
        self.look()
        self._looked_at_s = None

    def look(self) -> None:
        """Begin a poll; keys not asked for since the previous one are forgotten."""
        now_s = self.monotonic()
        if self._looked_at_s is None:
            self._oldest_s = 0.0 if self.is_clock_doubtful() else math.inf
        else:
            self._oldest_s = now_s - self._looked_at_s
        self._began = {key: value for key, value in self._began.items() if key in self._touched}
        self._touched = set()
        self._now, self._now_s, self._looked_at_s = self.clock(), now_s, now_s

    def of(self, key: Hashable, last_received_at: datetime) -> timedelta:
        """Return the time since the last image; never negative."""
        self._touched.add(key)
        known = self._began.get(key)
        if known is None or known[0] != last_received_at:
            age_s = max(0.0, (self._now - last_received_at).total_seconds())
            known = (last_received_at, self._now_s - min(age_s, self._oldest_s))
            self._began[key] = known
        return timedelta(seconds=self._now_s - known[1])


def steady_clock() -> datetime:
    """Return a time for measuring waits within one process: setting the system clock does not change it."""
    return datetime.fromtimestamp(time.monotonic(), UTC)

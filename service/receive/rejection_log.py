"""Rejections in the log and the audit trail, throttled so that a flood fills neither."""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from service.audit import AuditWriter
from service.receive.limits import REMEMBERED, MonotonicClock
from service.store import AuditEvent, AuditKind, AuditOutcome

log = logging.getLogger(__name__)

_NUMBERS = re.compile(r"\d+")


class RejectionLog:
    """Logs a repeated rejection of one address once a minute, with its count."""

    def __init__(self, trail: AuditWriter, throttle: "LogThrottle") -> None:
        self._trail = trail
        self._throttle = throttle

    def record(self, what: str, host: str, reason: str, calling_aet: str = "", called_aet: str = "") -> None:
        """Log one rejection, unless the same one was logged within the last minute."""
        kind = _NUMBERS.sub("", reason)  # reasons that differ only in a number are one reason
        times = self._throttle.due((what, host, kind))
        if times is None:
            return
        about = {"peer_host": host, "reason": reason, "calling_aet": calling_aet, "called_aet": called_aet}
        log.warning(what, extra={**about, "times": times})
        self._trail.record(
            AuditEvent(
                kind=AuditKind.REFUSED,
                outcome=AuditOutcome.MINOR_FAILURE,
                actor=calling_aet,
                address=host,
                target=called_aet,
                detail=f"{what}: {reason}" + (f", {times} times" if times > 1 else ""),
            )
        )


class LogThrottle:
    """Decides when a repeated message may be logged again. Thread-safe."""

    def __init__(self, every_s: float = 60, clock: MonotonicClock = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._lock = Lock()
        self._logged: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def due(self, message: Hashable) -> int | None:
        """Return how often it happened since it was last logged, including now; None if it is too soon to log."""
        now = self._clock()
        with self._lock:
            logged_at, suppressed = self._logged.get(message, (now - self._every_s, 0))
            if now - logged_at < self._every_s:
                self._logged[message] = (logged_at, suppressed + 1)
                return None
            self._logged[message] = (now, 0)
            self._logged.move_to_end(message)
            if len(self._logged) > REMEMBERED:
                self._logged.popitem(last=False)
            return suppressed + 1

"""Tells of those who were not let in: a line in the log and an event in the trail, but no flood of either."""

import logging
import re

from service.audit import AuditWriter
from service.receive.limits import LogThrottle
from service.store import AuditEvent, AuditKind, AuditOutcome

log = logging.getLogger(__name__)

_NUMBERS = re.compile(r"\d+")


class RejectionLog:
    """The same refusal of the same address is told once a minute, with how often it happened."""

    def __init__(self, trail: AuditWriter, repeats: LogThrottle) -> None:
        self._trail = trail
        self._repeats = repeats

    def tell(self, what: str, host: str, reason: str, calling_aet: str = "", called_aet: str = "") -> None:
        """Tells of one refusal, if it is time to."""
        kind = _NUMBERS.sub("", reason)  # who says another wrong length each time says the same thing
        times = self._repeats.due((what, host, kind))
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

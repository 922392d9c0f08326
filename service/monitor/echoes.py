"""Test the connection to every DICOM peer at intervals with a C-ECHO."""

import logging
import threading
import time
from dataclasses import dataclass

from service.config import Peer, Settings
from service.scu.client import Scu
from service.scu.outcome import Sent

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class EchoResult:
    """A peer's last answer to a C-ECHO."""

    name: str
    ok: bool
    reason: str
    duration_s: float


class PeerEchoes:
    """The peers' last answers. A silent peer delays only the next round."""

    def __init__(self, settings: Settings) -> None:
        self._peers: dict[str, Peer] = dict(settings.dicom_peers)
        self._every_s = settings.monitor.echo_s
        self._calling_aet = settings.send.ae_title
        self._answers: dict[str, EchoResult] = {}

    def answers(self) -> tuple[EchoResult, ...]:
        """Return the last answer of each peer that was asked."""
        return tuple(self._answers[name] for name in self._peers if name in self._answers)

    def run(self, stop: threading.Event) -> None:
        """Ask all peers at intervals until ``stop`` is set; return at once if there is none to ask."""
        while self._every_s > 0 and not stop.is_set():
            for name, peer in self._peers.items():
                if stop.is_set():
                    return
                self._answers[name] = self._ask(name, peer)
            stop.wait(self._every_s)

    def _ask(self, name: str, peer: Peer) -> EchoResult:
        began = time.monotonic()
        outcome = Scu(calling_aet=self._calling_aet, timeout_s=min(TIMEOUT_S, peer.timeout_s)).echo(peer)
        ok = isinstance(outcome, Sent)
        reason = outcome.note if isinstance(outcome, Sent) else outcome.reason
        before = self._answers.get(name)
        if before is None or before.ok != ok:
            log.log(
                logging.INFO if ok else logging.WARNING,
                "peer %s",
                "answers" if ok else "does not answer",
                extra={"peer": name, "reason": reason},
            )
        return EchoResult(name=name, ok=ok, reason=reason, duration_s=time.monotonic() - began)

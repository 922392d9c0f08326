"""Destinations as the page and the API show them: what is to be delivered to each, and whether it answers."""

import time
from dataclasses import dataclass

from service.application import Actor, Operation, record_action
from service.config import Destination, Peer
from service.errors import Refused
from service.scu.client import Scu
from service.scu.outcome import Sent
from service.store import DeliveriesIn, DeliveryState, read_queue_statistics
from service.web.parts import WebParts

ECHO_TIMEOUT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """A destination with its deliveries under way, and the last reason why it did not take one."""

    name: str
    peer: Destination | None
    states: tuple[DeliveriesIn, ...]
    last_words: str

    @property
    def address(self) -> str | None:
        """Its address, in words; None if it is no longer in the settings."""
        if isinstance(self.peer, Peer):
            tls = " TLS" if self.peer.tls else ""
            return f"{self.peer.ae_title} at {self.peer.host}:{self.peer.port}{tls}"
        return None if self.peer is None else str(getattr(self.peer, "url"))  # noqa: B009

    @property
    def waiting(self) -> int:
        """How many objects wait to be sent."""
        return sum(one.count for one in self.states if one.state is DeliveryState.PENDING)

    @property
    def can_echo(self) -> bool:
        """Whether it is a DICOM application, which answers C-ECHO."""
        return isinstance(self.peer, Peer)


@dataclass(frozen=True, kw_only=True)
class EchoAnswer:
    """A destination's answer to a C-ECHO; `reason`: why there was none, or a note."""

    peer: Peer
    ok: bool
    reason: str
    duration_s: float


def backlogs_of(parts: WebParts) -> list[Backlog]:
    """Return the destinations of the rules, then those that only deliveries name."""
    under_way = read_queue_statistics(parts.database).deliveries
    said = parts.lists.last_words()
    names = dict.fromkeys([*parts.ruled.destination_names, *(one.destination for one in under_way)])
    return [
        Backlog(
            name=name,
            peer=parts.settings.destination(name),
            states=tuple(one for one in under_way if one.destination == name),
            last_words=said.get(name, ""),
        )
        for name in names
    ]


def ask_by_echo(parts: WebParts, actor: Actor, name: str) -> EchoAnswer:
    """Ask a peer by C-ECHO; the order is in the audit trail before that.

    Raises:
        Refused: there is no such DICOM application in the settings.
    """
    peer = parts.settings.dicom_peers.get(name)
    if peer is None:
        raise Refused(f"there is no DICOM peer {name} in the settings, so it cannot be asked by C-ECHO")
    record_action(parts.database, actor, Operation.ECHO, detail=name)
    began = time.monotonic()
    timeout_s = min(ECHO_TIMEOUT_S, peer.timeout_s)
    outcome = Scu(calling_aet=parts.settings.send.ae_title, timeout_s=timeout_s).echo(peer)
    reason = outcome.note if isinstance(outcome, Sent) else outcome.reason
    duration_s = time.monotonic() - began
    return EchoAnswer(peer=peer, ok=isinstance(outcome, Sent), reason=reason, duration_s=duration_s)

"""Open an association to a peer, or explain why it could not be opened."""

import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation, AssociationSocket
from typing_extensions import override

from service.config import Peer, SettingsRefused
from service.scu.outcome import Failure, PermanentRefusal, TransientFailure
from service.scu.reactor_pause import pause_reactor
from service.scu.secure import Security

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_REJECTED = 3  # PS3.8 Table 9-18: abstract syntax not supported
_REASONS = {  # PS3.8 Table 9-21: source and reason
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "it does not know the calling AE title",
    (1, 7): "it does not answer to the called AE title",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "it is congested",
    (3, 2): "it has no association left",
}


class ClosableEntity(AE):
    """An AE whose sockets can be closed: pynetdicom 3.0 leaves that of a failed connection to the garbage collector."""

    def __init__(self, ae_title: str, *, timeout_s: float) -> None:
        super().__init__(ae_title)
        self.acse_timeout = self.dimse_timeout = timeout_s
        self.network_timeout = self.connection_timeout = timeout_s
        self._opened: list[socket.socket | Security] = []

    def secured_by(self, security: Security) -> None:
        """Close the TCP connections below TLS together with this entity."""
        self._opened.append(security)

    def close(self) -> None:
        """Close every socket that this entity opened."""
        for opened in self._opened:
            opened.close()

    @override
    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        created = super()._create_socket(assoc, address, tls_args)
        if created.socket is not None:
            self._opened.append(created.socket)
        return created


@dataclass(frozen=True, kw_only=True)
class ContextProposal:
    """What an association request proposes, and the handlers of requests that the peer makes on the association."""

    contexts: Sequence[PresentationContext]
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = ()
    handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], Any]]] = ()


def with_association(
    entity: ClosableEntity, peer: Peer, proposal: ContextProposal, request: Callable[[Association], Answer]
) -> Answer | Failure:
    """Return the result of ``request`` on an open association, which is then released, or why there is none."""
    try:
        return _ask(entity, peer, proposal, request)
    except SettingsRefused as error:  # a certificate file; someone may correct it before the next attempt
        return TransientFailure(reason=str(error))
    except socket.gaierror as error:
        reason = f"host name {peer.host} cannot be resolved: {error.strerror}"
        return TransientFailure(reason=reason, is_unreachable=True)
    finally:
        entity.close()


def _ask(
    entity: ClosableEntity, peer: Peer, proposal: ContextProposal, request: Callable[[Association], Answer]
) -> Answer | Failure:
    connected: list[evt.Event] = []
    security = Security(peer)
    entity.secured_by(security)
    association = entity.associate(
        peer.host,
        peer.port,
        contexts=list(proposal.contexts),
        ae_title=peer.ae_title,
        max_pdu=0,
        ext_neg=list(proposal.roles),
        tls_args=security.arguments,
        evt_handlers=[(evt.EVT_CONN_OPEN, connected.append), *proposal.handlers],
    )
    if not association.is_established:
        if security.problem():
            reason = f"{_where(peer)}: {security.problem()}"
            return TransientFailure(reason=reason, is_unreachable=True)
        return _not_established(association, peer, is_connected=bool(connected))
    pause_reactor(association)
    try:
        return request(association)
    except RuntimeError as error:  # pynetdicom: "the association ... must be established"
        log.info("association lost", extra={"host": peer.host, "reason": str(error)})
        return TransientFailure(reason="the association was lost before the request went out")
    finally:
        if association.is_established:
            association.release()


def _not_established(association: Association, peer: Peer, *, is_connected: bool) -> Failure:
    where = _where(peer)
    if not is_connected:
        return TransientFailure(reason=f"no connection to {where}", is_unreachable=True)
    answer = association.acceptor.primitive
    if answer is None or answer.result is None:
        reason = f"{where} did not answer the association request"
        if peer.tls is not None:
            reason += "; over TLS this can mean that it does not accept this node's certificate"
        return TransientFailure(reason=reason, is_unreachable=True)
    if answer.result == 0:
        return PermanentRefusal(reason=f"{where} does not take {_unaccepted(association)}")
    source, diagnostic = answer.result_source, answer.diagnostic
    why = _REASONS.get((source or 0, diagnostic or 0), f"source {source}, reason {diagnostic}")
    reason = f"{where} rejected the association: {why}"
    return PermanentRefusal(reason=reason) if answer.result == 1 else TransientFailure(reason=reason)


def _where(peer: Peer) -> str:
    return f"{peer.ae_title} at {peer.host}:{peer.port}" + (" over TLS" if peer.tls is not None else "")


def _unaccepted(association: Association) -> str:
    refused = association.rejected_contexts
    names = sorted({context.abstract_syntax.name for context in refused if context.abstract_syntax})
    if any(context.result == _REJECTED for context in refused):
        return f"{', '.join(names)} (SOP class not supported)"
    syntaxes = sorted({uid.name for context in refused for uid in context.transfer_syntax})
    return f"{', '.join(names)} in {', '.join(syntaxes)} (transfer syntaxes not supported)"

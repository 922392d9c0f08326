"""Admission: which peers may associate. It is decided from the association request, before any message is read."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from service.config import Sender
from service.dimse.association_request import APPLICATION_CONTEXT, AssociationRequest
from service.dimse.negotiation import Rejection
from service.tls import Certificate

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, kw_only=True)
class PeerIdentity:
    """The peer's identity as proven by the connection, which an association request cannot forge."""

    host: str
    certificate: Certificate | None = None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The AE titles that the node answers to, and the senders that it accepts; an empty list accepts every sender."""

    called_aets: frozenset[str]
    senders: Sequence[Sender]

    def knows_address(self, host: str) -> bool:
        """Return whether any sender may connect from this address; other connections are closed unread."""
        address = peer_address(host)
        return not self.senders or any(_comes_from(sender, address) for sender in self.senders)

    def refusal(self, association_request: AssociationRequest, peer: PeerIdentity) -> Rejection | None:
        """Return the reason to reject this request; None if it is accepted."""
        if not association_request.protocol_version & 1:
            return Rejection.PROTOCOL_VERSION_NOT_SUPPORTED
        if association_request.application_context != APPLICATION_CONTEXT:
            return Rejection.APPLICATION_CONTEXT_NOT_SUPPORTED
        if association_request.called_aet not in self.called_aets:
            return Rejection.CALLED_AE_TITLE_NOT_RECOGNIZED
        is_known = not self.senders or any(_is(sender, association_request, peer) for sender in self.senders)
        return (
            None
            if is_known and association_request.calling_aet
            else Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED
        )


def _is(sender: Sender, association_request: AssociationRequest, peer: PeerIdentity) -> bool:
    """Tell whether AE title, address and certificate all match the sender: each alone could be forged or shared."""
    return (
        association_request.calling_aet == sender.ae_title
        and _comes_from(sender, peer_address(peer.host))
        and _shows(sender, peer.certificate)
    )


def _comes_from(sender: Sender, address: Address) -> bool:
    return not sender.networks or any(address in ipaddress.ip_network(one) for one in sender.networks)


def _shows(sender: Sender, certificate: Certificate | None) -> bool:
    if not sender.certificates:
        return True
    return certificate is not None and not certificate.names.isdisjoint(sender.certificates)


def peer_address(host: str) -> Address:
    """Return the address; an IPv4 address that came through an IPv6 socket is returned as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address

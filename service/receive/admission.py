"""Who may associate. The answer is given in the association's own handshake, before anything else is read."""

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
    """What the connection itself proves about who is asking: nothing of it can be made up in a request."""

    host: str
    certificate: Certificate | None = None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The AE titles that the node answers to and the senders that it lets in; no sender listed means anybody."""

    called_aets: frozenset[str]
    senders: Sequence[Sender]

    def knows_address(self, host: str) -> bool:
        """Returns whether any sender may come from this address; from another nothing needs to be read."""
        address = _address(host)
        return not self.senders or any(_comes_from(sender, address) for sender in self.senders)

    def refusal(self, applicant: AssociationRequest, caller: PeerIdentity) -> Rejection | None:
        """Returns why this applicant must stay out, or None."""
        if not applicant.protocol_version & 1:
            return Rejection.PROTOCOL_VERSION_NOT_SUPPORTED
        if applicant.application_context != APPLICATION_CONTEXT:
            return Rejection.APPLICATION_CONTEXT_NOT_SUPPORTED
        if applicant.called_aet not in self.called_aets:
            return Rejection.CALLED_AE_TITLE_NOT_RECOGNIZED
        is_known = not self.senders or any(_is(sender, applicant, caller) for sender in self.senders)
        return None if is_known and applicant.calling_aet else Rejection.CALLING_AE_TITLE_NOT_RECOGNIZED


def _is(sender: Sender, applicant: AssociationRequest, caller: PeerIdentity) -> bool:
    """Whether title, address and certificate are all the sender's: one alone can be anybody's."""
    return (
        applicant.calling_aet == sender.ae_title
        and _comes_from(sender, _address(caller.host))
        and _shows(sender, caller.certificate)
    )


def _comes_from(sender: Sender, address: Address) -> bool:
    return not sender.networks or any(address in ipaddress.ip_network(one) for one in sender.networks)


def _shows(sender: Sender, certificate: Certificate | None) -> bool:
    if not sender.certificates:
        return True
    return certificate is not None and not certificate.names.isdisjoint(sender.certificates)


def _address(host: str) -> Address:
    """The address as a network means it: an IPv4 one that came through an IPv6 socket is an IPv4 one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address

"""Negotiation: which of the proposed contexts are accepted, and the replies as bytes (PS3.8 9.3.3, 9.3.4).

PDUs are encoded here and not by pynetdicom, which raises on requests that DCMTK accepts (docs/decisions/0005).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from service.dimse.association_request import (
    APPLICATION_CONTEXT,
    AssociationProposals,
    ProposedContext,
    decode,
)
from service.dimse.file_meta import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from service.dimse.sop_classes import STORAGE_COMMITMENT

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"


class Rejection(Enum):
    """The reason for rejecting an association: result, source and reason of PS3.8 Table 9-21."""

    APPLICATION_CONTEXT_NOT_SUPPORTED = (1, 1, 2)
    CALLING_AE_TITLE_NOT_RECOGNIZED = (1, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNIZED = (1, 1, 7)
    PROTOCOL_VERSION_NOT_SUPPORTED = (1, 2, 2)
    TEMPORARY_CONGESTION = (2, 3, 1)
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


class Result(IntEnum):
    """The result for one proposed context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, kw_only=True)
class AcceptedContext:
    """One presentation context that both sides agreed on."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, kw_only=True)
class NegotiationResult:
    """The result of a negotiation: the A-ASSOCIATE-AC PDU, and the accepted contexts by their number."""

    accept: bytes
    contexts: Mapping[int, AcceptedContext]


def negotiate(
    pdu: bytes, supported: Mapping[str, frozenset[str]], *, maximum_pdu_bytes: int
) -> NegotiationResult:
    """Return the reply to an A-ASSOCIATE-RQ PDU.

    Of the transfer syntaxes that both support, the sender's first is chosen, so that it need not re-encode. Big
    endian, which the standard has retired, is chosen last.

    Args:
        pdu: the sender's request.
        supported: transfer syntaxes by SOP class.
        maximum_pdu_bytes: the longest P-DATA-TF PDU that the node accepts; 0 for any.

    Raises:
        MalformedRequest: the PDU is not a request.
    """
    request = decode(pdu)
    results = {proposal.number: _result(proposal, supported) for proposal in request.contexts}
    contexts = {
        proposal.number: AcceptedContext(
            sop_class_uid=proposal.abstract_syntax, transfer_syntax_uid=results[proposal.number][1]
        )
        for proposal in request.contexts
        if results[proposal.number][0] is Result.ACCEPTANCE
    }
    return NegotiationResult(accept=_accept_pdu(request, results, maximum_pdu_bytes), contexts=contexts)


def _result(proposal: ProposedContext, supported: Mapping[str, frozenset[str]]) -> tuple[Result, str]:
    """Return the result and the transfer syntax, which is significant only for an acceptance."""
    known = supported.get(proposal.abstract_syntax)
    if known is None:
        return Result.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_LITTLE_ENDIAN
    both = [uid for uid in proposal.transfer_syntaxes if uid in known]
    if not both:
        return Result.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT_LITTLE_ENDIAN
    return Result.ACCEPTANCE, min(both, key=EXPLICIT_BIG_ENDIAN.__eq__)


def _accept_pdu(
    request: AssociationProposals, results: Mapping[int, tuple[Result, str]], maximum_pdu_bytes: int
) -> bytes:
    contexts = (
        _item(0x21, bytes((number, 0, result, 0)) + _item(0x40, syntax.encode("ascii")))
        for number, (result, syntax) in results.items()
    )
    user_information = (
        _item(0x51, struct.pack(">L", maximum_pdu_bytes)),
        _item(0x52, IMPLEMENTATION_UID.encode("ascii")),
        *_roles(request),
        _item(0x55, IMPLEMENTATION_VERSION.encode("ascii")),
    )
    body = struct.pack(">HH", 1, 0) + request.echoed + _item(0x10, APPLICATION_CONTEXT.encode("ascii"))
    body += b"".join(contexts) + _item(0x50, b"".join(user_information))
    return struct.pack(">BBL", 2, 0, len(body)) + body


def _roles(request: AssociationProposals) -> Iterator[bytes]:
    """Yield the reply to a peer that will report commitments as SCP (PS3.7 D.3.3.4).

    Other role proposals get no reply.
    """
    for role in request.roles:
        if role.sop_class_uid == STORAGE_COMMITMENT:
            uid = role.sop_class_uid.encode("ascii")
            yield _item(0x54, struct.pack(">H", len(uid)) + uid + bytes((0, role.is_scp)))


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def encode_reject(rejection: Rejection) -> bytes:
    """Return the A-ASSOCIATE-RJ PDU."""
    return struct.pack(">BBLBBBB", 3, 0, 4, 0, *rejection.value)

"""The association's handshake: pynetdicom's PDUs and its presentation context negotiation, without its threads."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from service.dimse.file_meta import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from service.dimse.sop_classes import STORAGE_COMMITMENT
from service.receive.admission import AssociationRequest, Rejection

EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"

_MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: their numbers are odd and at most 255
_APPLICATION_CONTEXT, _PRESENTATION_CONTEXT = 0x10, 0x20
_FIRST_ITEM = 74  # PS3.8 Table 9-11: behind the header, the versions, both titles and what is reserved

# What pynetdicom's decoders raise on bytes that are no A-ASSOCIATE-RQ (tried with mutated requests).
_NOT_A_REQUEST = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)


class MalformedRequest(Exception):
    """The bytes are no A-ASSOCIATE-RQ (PS3.8 9.3.2)."""


@dataclass(frozen=True, kw_only=True)
class AcceptedContext:
    """One presentation context that both sides agreed on."""

    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, kw_only=True)
class NegotiationResult:
    """What a request came to: the A-ASSOCIATE-AC PDU, and the accepted contexts by their number."""

    accept: bytes
    contexts: Mapping[int, AcceptedContext]


def applicant_of(pdu: bytes) -> AssociationRequest:
    """Returns who asks for whom in an A-ASSOCIATE-RQ PDU (PS3.8 Table 9-11); the rest of it is not looked at.

    It comes from anybody, so it costs next to nothing.

    Raises:
        MalformedRequest: it is too short, or a title is no text.
    """
    if len(pdu) < _FIRST_ITEM:
        raise MalformedRequest(f"an A-ASSOCIATE-RQ of {len(pdu)} bytes")
    (protocol_version,) = struct.unpack_from(">H", pdu, 6)
    contexts = (value for kind, value in _items(pdu) if kind == _APPLICATION_CONTEXT)
    return AssociationRequest(
        calling_aet=_title(pdu[26:42]),
        called_aet=_title(pdu[10:26]),
        application_context=next(contexts, b"").rstrip(b"\0 ").decode("ascii", "backslashreplace"),
        protocol_version=protocol_version,
    )


def _title(value: bytes) -> str:
    text = value.decode("ascii", "backslashreplace").strip()
    if len(text) > len(value) or not text.isprintable():
        raise MalformedRequest("an application entity title is no text")
    return text


def _items(pdu: bytes) -> Iterator[tuple[int, bytes]]:
    position = _FIRST_ITEM
    while position + 4 <= len(pdu):
        kind, _, length = struct.unpack_from(">BBH", pdu, position)
        yield kind, pdu[position + 4 : position + 4 + length]
        position += 4 + length


def negotiate(
    pdu: bytes, supported: Mapping[str, frozenset[str]], *, maximum_pdu_bytes: int
) -> NegotiationResult:
    """Returns the answer to an A-ASSOCIATE-RQ PDU.

    Of the transfer syntaxes that both know, the sender's first is taken: it need not re-encode what it holds. Big
    endian, which the standard has retired, comes last.

    Args:
        pdu: what the sender proposes.
        supported: transfer syntaxes by SOP class.
        maximum_pdu_bytes: the longest P-DATA-TF PDU that the node takes; 0 for any.

    Raises:
        MalformedRequest: it is no request, or a proposal names no abstract or transfer syntax.
    """
    # They are counted before anything is decoded, for decoding thousands takes seconds.
    if sum(kind == _PRESENTATION_CONTEXT for kind, _ in _items(pdu)) > _MOST_CONTEXTS:
        raise MalformedRequest(f"more than {_MOST_CONTEXTS} presentation contexts")
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(pdu)
        asked = request.to_primitive()
        results = _results(asked, supported)
        accept = _accept_pdu(asked, results, maximum_pdu_bytes)
    except _NOT_A_REQUEST as error:
        raise MalformedRequest(f"not an A-ASSOCIATE-RQ: {type(error).__name__}") from error
    return NegotiationResult(
        accept=accept,
        contexts={
            result.context_id: AcceptedContext(
                sop_class_uid=str(result.abstract_syntax), transfer_syntax_uid=str(result.transfer_syntax[0])
            )
            for result in results
            if result.result == 0 and result.context_id is not None
        },
    )


def _results(asked: A_ASSOCIATE, supported: Mapping[str, frozenset[str]]) -> list[PresentationContext]:
    results: list[PresentationContext] = []
    for proposed in asked.presentation_context_definition_list:
        known = supported.get(str(proposed.abstract_syntax))
        answers, _ = negotiate_as_acceptor([proposed], [] if known is None else [_ours(proposed, known)])
        results += answers
    return results


def _ours(proposed: PresentationContext, known: frozenset[str]) -> PresentationContext:
    ours = PresentationContext()
    ours.abstract_syntax = proposed.abstract_syntax
    in_order = sorted(proposed.transfer_syntax, key=EXPLICIT_BIG_ENDIAN.__eq__)
    ours.transfer_syntax = [uid for uid in in_order if uid in known]
    return ours


def _accept_pdu(asked: A_ASSOCIATE, results: list[PresentationContext], maximum_pdu_bytes: int) -> bytes:
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = maximum_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = IMPLEMENTATION_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION
    primitive = A_ASSOCIATE()
    primitive.application_context_name = asked.application_context_name
    primitive.calling_ae_title = asked.calling_ae_title
    primitive.called_ae_title = asked.called_ae_title
    primitive.result = 0
    primitive.result_source = 1
    primitive.presentation_context_definition_results_list = results
    primitive.user_information = [maximum, implementation, version, *_roles(asked)]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return pdu.encode()


def _roles(asked: A_ASSOCIATE) -> list[SCP_SCU_RoleSelectionNegotiation]:
    """Returns the answer to a peer that will report commitments as SCP (PS3.7 D.3.3.4); other proposals of roles get none."""
    answers = []
    for item in asked.user_information:
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid == STORAGE_COMMITMENT:
            answer = SCP_SCU_RoleSelectionNegotiation()
            answer.sop_class_uid = item.sop_class_uid
            answer.scu_role, answer.scp_role = False, bool(item.scp_role)
            answers.append(answer)
    return answers


def encode_reject(rejection: Rejection) -> bytes:
    """Returns the A-ASSOCIATE-RJ PDU."""
    primitive = A_ASSOCIATE()
    primitive.result, primitive.result_source, primitive.diagnostic = rejection.value
    pdu = A_ASSOCIATE_RJ()
    pdu.from_primitive(primitive)
    return pdu.encode()

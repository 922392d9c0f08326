"""Decodes A-ASSOCIATE-RQ PDUs (PS3.8 9.3.2), as far as an answer needs, and tolerantly.

PS3.8 D.2 requires unknown sub-items to be ignored. Titles padded with NUL, overlong names and even context numbers
come from systems in use; DCMTK accepts them, and so does the node.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

_FIRST_ITEM = 74  # PS3.8 Table 9-11: after the header, the version, both titles and the reserved bytes
_APPLICATION_CONTEXT, _PRESENTATION_CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_ABSTRACT_SYNTAX, _TRANSFER_SYNTAX, _ROLE_SELECTION = 0x30, 0x40, 0x54
_ITEM = struct.Struct(">BBH")
_NOT_IN_A_TITLE = "?"  # replaces characters not allowed in a title, which is written to rows, files and logs


class MalformedRequest(Exception):
    """The bytes are not an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""


@dataclass(frozen=True, kw_only=True)
class AssociationRequest:
    """The titles, application context and protocol version of an A-ASSOCIATE-RQ."""

    calling_aet: str
    called_aet: str
    application_context: str
    protocol_version: int


@dataclass(frozen=True, kw_only=True)
class ProposedContext:
    """A proposed presentation context; a malformed UID is an empty string."""

    number: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RoleSelection:
    """An SCP/SCU role selection (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    is_scp: bool


@dataclass(frozen=True, kw_only=True)
class AssociationProposals:
    """The proposed contexts in their order, each number once, and the proposed roles."""

    contexts: tuple[ProposedContext, ...]
    roles: tuple[RoleSelection, ...]
    echoed: bytes  # titles and reserved bytes, which the reply repeats (PS3.8 Table 9-17)


def read_association_request(pdu: bytes) -> AssociationRequest:
    """Read the titles, application context and version of an A-ASSOCIATE-RQ PDU (PS3.8 Table 9-11), and no more.

    Any host can send one, so this is cheap.

    Raises:
        MalformedRequest: it is too short, or an item is cut off.
    """
    if len(pdu) < _FIRST_ITEM:
        raise MalformedRequest(f"an A-ASSOCIATE-RQ of {len(pdu)} bytes")
    (protocol_version,) = struct.unpack_from(">H", pdu, 6)
    contexts = (value for kind, value in _items(pdu[_FIRST_ITEM:]) if kind == _APPLICATION_CONTEXT)
    return AssociationRequest(
        calling_aet=_title(pdu[26:42]),
        called_aet=_title(pdu[10:26]),
        application_context=next(contexts, b"").rstrip(b"\0 ").decode("ascii", "replace"),
        protocol_version=protocol_version,
    )


def decode(pdu: bytes) -> AssociationProposals:
    """Decode the proposals of a whole A-ASSOCIATE-RQ PDU; of two contexts with the same number, the first counts.

    Raises:
        MalformedRequest: an item is cut off.
    """
    proposals: dict[int, ProposedContext] = {}
    roles: list[RoleSelection] = []
    for kind, value in _items(pdu[_FIRST_ITEM:]):
        if kind == _PRESENTATION_CONTEXT:
            proposal = _proposal(value)
            proposals.setdefault(proposal.number, proposal)
        elif kind == _USER_INFORMATION:
            roles += [_role(sub) for sub_kind, sub in _items(value) if sub_kind == _ROLE_SELECTION]
    return AssociationProposals(
        contexts=tuple(proposals.values()), roles=tuple(roles), echoed=pdu[10:_FIRST_ITEM]
    )


def _proposal(value: bytes) -> ProposedContext:
    if len(value) < 4:
        raise MalformedRequest(f"a presentation context of {len(value)} bytes")
    subitems = list(_items(value[4:]))
    abstract = (uid for kind, uid in subitems if kind == _ABSTRACT_SYNTAX)
    return ProposedContext(
        number=value[0],
        abstract_syntax=_uid(next(abstract, b"")),
        transfer_syntaxes=tuple(_uid(uid) for kind, uid in subitems if kind == _TRANSFER_SYNTAX),
    )


def _role(value: bytes) -> RoleSelection:
    length = int.from_bytes(value[:2], "big")
    if len(value) < 4 + length:
        raise MalformedRequest("a role selection is cut off")
    return RoleSelection(sop_class_uid=_uid(value[2 : 2 + length]), is_scp=value[3 + length] == 1)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and value of each item; zeros after the last one are padding."""
    position = 0
    while position + _ITEM.size <= len(data):
        kind, _, length = _ITEM.unpack_from(data, position)
        begin, position = position + _ITEM.size, position + _ITEM.size + length
        if position > len(data):
            raise MalformedRequest("an item is cut off")
        yield kind, data[begin:position]
    if any(data[position:]):
        raise MalformedRequest("an item is cut off")


def _title(value: bytes) -> str:
    """Return the title up to a NUL, without surrounding spaces."""
    text = value.partition(b"\0")[0].decode("ascii", "replace").strip(" ")
    return "".join(letter if " " <= letter <= "~" and letter != "\\" else _NOT_IN_A_TITLE for letter in text)


def _uid(value: bytes) -> str:
    text = value.rstrip(b"\0 ")
    return text.decode("ascii") if text.isascii() else ""

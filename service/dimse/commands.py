"""DIMSE command sets (PS3.7 6.3, E.1) as bytes: always Implicit VR Little Endian, whatever the context says."""

import struct
from dataclasses import dataclass
from enum import IntEnum

_NO_DATA_SET = 0x0101
_HEADER = struct.Struct("<HHL")
_NUMBER = struct.Struct("<HHLH")


class CommandField(IntEnum):
    """Command Field values (PS3.7 Table E.1-1) that the node distinguishes."""

    C_STORE_RQ = 0x0001
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    C_CANCEL_RQ = 0x0FFF


class MalformedCommand(Exception):
    """The bytes are not a command set, or an element that every request has is missing."""


@dataclass(frozen=True, kw_only=True)
class DimseRequest:
    """One DIMSE request, as far as the response needs it."""

    field: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool
    event_type_id: int | None = None  # of an N-EVENT-REPORT


def decode(data: bytes) -> DimseRequest:
    """Return the request in a complete command set; elements of other groups are ignored.

    A C-CANCEL has no Message ID (PS3.7 Table 9.3-4) and is never answered: its ``message_id`` is 0.

    Raises:
        MalformedCommand: cut short, or an element of the wrong size or missing.
    """
    elements = _elements(data)
    field = _number(elements, 0x0100)
    if field == CommandField.C_CANCEL_RQ:
        return DimseRequest(
            field=field, message_id=0, sop_class_uid="", sop_instance_uid="", has_data_set=False
        )
    return DimseRequest(
        field=field,
        message_id=_number(elements, 0x0110),
        sop_class_uid=_uid(elements, 0x0002),
        sop_instance_uid=_uid(elements, 0x1000),
        has_data_set=_number(elements, 0x0800) != _NO_DATA_SET,
        event_type_id=_number(elements, 0x1002) if 0x1002 in elements else None,
    )


def _elements(data: bytes) -> dict[int, bytes]:
    """Return the values of group 0000; zeros after the last element are padding."""
    elements: dict[int, bytes] = {}
    position = 0
    while position < len(data):
        if position + 8 > len(data):
            if any(data[position:]):
                raise MalformedCommand("command set ends inside an element's header")
            break
        group, element, length = _HEADER.unpack_from(data, position)
        begin, position = position + 8, position + 8 + length
        if position > len(data):
            raise MalformedCommand(f"element ({group:04X},{element:04X}) does not fit its command set")
        if group == 0:
            elements.setdefault(element, data[begin:position])
    return elements


def encode_response(request: DimseRequest, status: int, *, comment: str = "") -> bytes:
    """Return the command set that answers ``request``; ``comment`` goes into (0000,0902), at most 64 characters."""
    body = b""
    if request.sop_class_uid:
        body += _element(0x0002, _even(request.sop_class_uid, b"\0"))
    body += _NUMBER.pack(0, 0x0100, 2, request.field | 0x8000)
    body += _NUMBER.pack(0, 0x0120, 2, request.message_id)
    body += _NUMBER.pack(0, 0x0800, 2, _NO_DATA_SET)
    body += _NUMBER.pack(0, 0x0900, 2, status)
    if comment:
        body += _element(0x0902, _even(comment[:64], b" "))
    if request.sop_instance_uid:
        body += _element(0x1000, _even(request.sop_instance_uid, b"\0"))
    if request.event_type_id is not None:
        body += _NUMBER.pack(0, 0x1002, 2, request.event_type_id)
    return _element(0x0000, struct.pack("<L", len(body))) + body


def _number(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) < 2:
        raise MalformedCommand(f"(0000,{element:04X}) is missing or not a US of two bytes")
    return int.from_bytes(value[:2], "little")  # some senders write four


def _uid(elements: dict[int, bytes], element: int) -> str:
    try:
        return elements.get(element, b"").rstrip(b"\0 ").decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedCommand(f"(0000,{element:04X}) is not a UID") from error


def _element(element: int, value: bytes) -> bytes:
    return _HEADER.pack(0, element, len(value)) + value


def _even(text: str, pad: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + pad if len(value) % 2 else value

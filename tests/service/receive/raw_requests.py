"""Association requests and commands byte by byte, as no library would write them."""

import struct
from collections.abc import Sequence

from tests.service.receive.samples import CT, EXPLICIT, IMPLICIT

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"


def item(kind: int, value: bytes, *, length: int | None = None, reserved: int = 0) -> bytes:
    """Gives one item or sub-item; ``length`` where another one is to be stated."""
    return struct.pack(">BBH", kind, reserved, len(value) if length is None else length) + value


def context(number: int, abstract: bytes, *transfer: bytes) -> bytes:
    """Gives a presentation context item."""
    subitems = item(0x30, abstract) + b"".join(item(0x40, one) for one in transfer)
    return item(0x20, bytes([number, 0, 0, 0]) + subitems)


MAXIMUM = item(0x51, struct.pack(">L", 16382))
CLASS_UID = item(0x52, b"1.2.3.4")
VERSION = item(0x55, b"TRIED")
CONTEXTS = (
    context(1, CT.encode(), EXPLICIT.encode(), IMPLICIT.encode()),
    context(3, VERIFICATION.encode(), IMPLICIT.encode()),
)


def association(
    *,
    called: bytes = b"NODE".ljust(16),
    calling: bytes = b"SCANNER".ljust(16),
    version: int = 1,
    application: bytes = item(0x10, APPLICATION_CONTEXT),
    contexts: Sequence[bytes] = CONTEXTS,
    user: bytes | None = MAXIMUM + CLASS_UID + VERSION,
    rest: bytes = b"",
    reserved: bytes = bytes(32),
) -> bytes:
    """Gives an A-ASSOCIATE-RQ PDU of these parts."""
    body = struct.pack(">HH", version, 0) + called + calling + reserved + application + b"".join(contexts)
    body += b"" if user is None else item(0x50, user)
    body += rest
    return struct.pack(">BBL", 1, 0, len(body)) + body


def element(number: int, value: bytes, *, group: int = 0) -> bytes:
    """Gives one element in Implicit VR Little Endian."""
    return struct.pack("<HHL", group, number, len(value)) + value


def u16(number: int) -> bytes:
    return struct.pack("<H", number)


def command(*elements: bytes, group_length: int | None = None) -> bytes:
    """Gives a command set with its group length."""
    body = b"".join(elements)
    return element(0, struct.pack("<L", len(body) if group_length is None else group_length)) + body

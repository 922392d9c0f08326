"""The head of a Part 10 file (PS3.10 7.1), written by the node before the bytes that the sender sent."""

import struct
from dataclasses import dataclass

IMPLEMENTATION_VERSION = "CONTOUR_NODE_1"
IMPLEMENTATION_UID = "2.25.164856190174363369849805981638367353174"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who sent to whom, by application entity titles."""

    calling_aet: str
    called_aet: str


def encode(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, origin: Origin) -> bytes:
    """Returns preamble, prefix and File Meta Information; the dataset follows as it came."""
    elements = (
        struct.pack("<HH2sHL", 2, 0x0001, b"OB", 0, 2)
        + b"\0\1"
        + _short(0x0002, b"UI", sop_class_uid)
        + _short(0x0003, b"UI", sop_instance_uid)
        + _short(0x0010, b"UI", transfer_syntax_uid)
        + _short(0x0012, b"UI", IMPLEMENTATION_UID)
        + _short(0x0013, b"SH", IMPLEMENTATION_VERSION)
        + _short(0x0016, b"AE", origin.calling_aet)
        + _short(0x0017, b"AE", origin.calling_aet)
        + _short(0x0018, b"AE", origin.called_aet)
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(elements)) + elements


def _short(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value

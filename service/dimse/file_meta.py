"""The header of a Part 10 file (PS3.10 7.1), written by the node before the bytes that the sender sent, and read back.

It contains what the database knows of an instance beyond its dataset: who sent it, to whom, and from where.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache

IMPLEMENTATION_VERSION = "CONTOUR_NODE_1"
IMPLEMENTATION_UID = "2.25.164856190174363369849805981638367353174"

HEADER_BYTES = 1024
"""Length of every header: two headers of one instance differ only in who sent it."""

_PREFIX = bytes(128) + b"DICM"
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2sHL")
_GROUP_LENGTH = _SHORT.pack(2, 0, b"UL", 4)
_SCHEME = "dicom://"


@dataclass(frozen=True, kw_only=True)
class TransferRoute:
    """Who sent to whom, by application entity titles, and from which address."""

    calling_aet: str
    called_aet: str
    peer_host: str


@dataclass(frozen=True, kw_only=True)
class FileMeta:
    """What the header of a received file says."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    origin: TransferRoute


class ForeignFileMeta(Exception):
    """The bytes are not a header that this node has written."""


def encode(meta: FileMeta) -> bytes:
    """Return preamble, prefix and File Meta Information, HEADER_BYTES long; the dataset follows as it came."""
    before, after, address = _around(meta.sop_class_uid, meta.transfer_syntax_uid, meta.origin)
    elements = before + _short(0x0003, b"UI", meta.sop_instance_uid) + after
    room = HEADER_BYTES - len(_PREFIX) - len(_GROUP_LENGTH) - 4 - len(elements) - _LONG.size
    address = address.ljust(room)  # trailing spaces have no meaning
    elements += _LONG.pack(2, 0x0026, b"UR", 0, len(address)) + address
    return b"".join((_PREFIX, _GROUP_LENGTH, len(elements).to_bytes(4, "little"), elements))


@lru_cache(maxsize=256)  # an association sends hundreds that differ only in the instance
def _around(
    sop_class_uid: str, transfer_syntax_uid: str, origin: TransferRoute
) -> tuple[bytes, bytes, bytes]:
    """Return the encoded elements before and after the SOP Instance UID and the sender's address."""
    before = _LONG.pack(2, 0x0001, b"OB", 0, 2) + b"\0\1" + _short(0x0002, b"UI", sop_class_uid)
    after = (
        _short(0x0010, b"UI", transfer_syntax_uid)
        + _short(0x0012, b"UI", IMPLEMENTATION_UID)
        + _short(0x0013, b"SH", IMPLEMENTATION_VERSION)
        + _short(0x0016, b"AE", origin.calling_aet)
        + _short(0x0017, b"AE", origin.calling_aet)
        + _short(0x0018, b"AE", origin.called_aet)
    )
    return before, after, f"{_SCHEME}{origin.peer_host}".encode("ascii", "replace")


def decode(head: bytes) -> FileMeta:
    """Return the content of a header that ``encode`` made; every byte must match.

    Raises:
        ForeignFileMeta: it is another one, or damaged.
    """
    try:
        values = dict(_elements(head, len(_PREFIX) + _SHORT.size + 4))
        meta = FileMeta(
            sop_class_uid=values[0x0002],
            sop_instance_uid=values[0x0003],
            transfer_syntax_uid=values[0x0010],
            origin=TransferRoute(
                calling_aet=values[0x0016],
                called_aet=values[0x0018],
                peer_host=values[0x0026].removeprefix(_SCHEME),
            ),
        )
    except (KeyError, struct.error, UnicodeDecodeError) as error:
        raise ForeignFileMeta(f"not the header of a received file: {error}") from error
    if encode(meta) != head:
        raise ForeignFileMeta("not the header of a received file: this node would write it differently")
    return meta


def _elements(head: bytes, position: int) -> list[tuple[int, str]]:
    found = []
    while position < len(head):
        _, element, vr, length = _SHORT.unpack_from(head, position)
        position += _SHORT.size
        if vr in (b"OB", b"UR"):
            (length,) = struct.unpack_from("<L", head, position)
            position += 4
        found.append((element, head[position : position + length].rstrip(b"\0 ").decode("ascii", "replace")))
        position += length
    return found


def _short(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if vr == b"AE":
        value = value.ljust(16)
    elif len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return _SHORT.pack(2, element, vr, len(value)) + value

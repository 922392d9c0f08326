"""Where the elements of a DICOM stream are, so that a mutation can hit a length, a VR or a tag deliberately."""

import struct
from dataclasses import dataclass

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})  # fmt: skip
_MOST_MARKS = 5000


@dataclass(frozen=True, kw_only=True)
class ElementEncoding:
    """How elements are encoded."""

    explicit: bool
    little: bool

    @property
    def order(self) -> str:
        """The byte order, for struct."""
        return "<" if self.little else ">"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One element, item or delimiter: where it starts, where its length is, and where its value starts and ends."""

    tag: int
    vr: bytes
    start: int
    length_at: int
    length_bytes: int
    value_at: int
    end: int


def marks(data: bytes, start: int, encoding: ElementEncoding) -> list[Mark]:
    """Return the elements from ``start`` on, nested ones too, in stream order, as far as they are readable."""
    found: list[Mark] = []
    place = start
    while place + 8 <= len(data) and len(found) < _MOST_MARKS:
        mark = _mark(data, place, encoding)
        if mark is None:
            break
        found.append(mark)
        opens = mark.vr == b"SQ" or mark.tag == ITEM or mark.end == mark.value_at
        place = mark.value_at if opens else mark.end
    return found


def _mark(data: bytes, place: int, encoding: ElementEncoding) -> Mark | None:
    order = encoding.order
    group, element = struct.unpack_from(f"{order}HH", data, place)
    tag = group << 16 | element
    vr, length_at, length_bytes = b"", place + 4, 4
    if encoding.explicit and group != 0xFFFE:
        vr = data[place + 4 : place + 6]
        length_at, length_bytes = (place + 8, 4) if vr in _LONG_VRS else (place + 6, 2)
    if length_at + length_bytes > len(data):
        return None
    (length,) = struct.unpack_from(f"{order}{'L' if length_bytes == 4 else 'H'}", data, length_at)
    value_at = length_at + length_bytes
    if not vr and data[value_at : value_at + 4] == struct.pack(f"{order}HH", 0xFFFE, 0xE000):
        vr = b"SQ"  # in implicit VR, a sequence is recognised by its first item
    return Mark(
        tag=tag,
        vr=vr,
        start=place,
        length_at=length_at,
        length_bytes=length_bytes,
        value_at=value_at,
        end=value_at if length == UNDEFINED else min(value_at + length, len(data)),
    )

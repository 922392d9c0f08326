"""Where the values of a DICOM stream lie: a walk over its elements that decodes none of them.

Ten times faster than a full parse, which matters for 200 slices and for 13 MB of contours. It knows the little and big
endian, explicit and implicit encodings of PS3.5 chapter 7 and undefined lengths; the meaning of values is left to the
callers.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

UNDEFINED = 0xFFFFFFFF
MOST_INFLATED_BYTES = 256 << 20
"""Largest deflated dataset that is read: zeros deflate to a thousandth."""
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = frozenset({_ITEM_END, _SEQUENCE_END})
_IMPLICIT, _IMPLICIT_BIG = struct.Struct("<HHL").unpack_from, struct.Struct(">HHL").unpack_from
_EXPLICIT, _EXPLICIT_BIG = struct.Struct("<HH2sH").unpack_from, struct.Struct(">HH2sH").unpack_from
_LONG, _LONG_BIG = struct.Struct("<L").unpack_from, struct.Struct(">L").unpack_from
# Images and contours shrink by 2 to 20; a thousandfold is a stream made to exhaust the memory.
_LARGEST_EXPANSION = 100
_ALWAYS_INFLATED_BYTES = 1 << 24  # a slice of air alone may shrink further
_LONG_VRS = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())


class MalformedStream(ValueError):
    """Bytes that cannot be a DICOM stream; the message gives the offset."""


class Element(NamedTuple):
    """One element's place: tag, VR letters (empty where implicit), where its value starts, and its length."""

    tag: int
    vr: bytes
    start: int
    length: int


class Encoding(NamedTuple):
    """How elements are laid out."""

    explicit: bool
    little: bool


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A file's dataset: the bytes (inflated where they were deflated), where it starts, and its encoding."""

    data: bytes
    start: int
    encoding: Encoding
    transfer_syntax_uid: str
    header_end: int
    """Where preamble and file meta information end in the file as it arrived."""


def open_stream(data: bytes) -> Stream:
    """Return the dataset inside a Part 10 file; without meta information, by the bytes' own form.

    Raises MalformedStream where the bytes are neither.
    """
    position = 132 if data[128:132] == b"DICM" else 0
    syntax, end = _file_meta(data, position)
    if syntax == DeflatedExplicitVRLittleEndian:
        inflated = _inflate(data[end:])
        return Stream(
            data=inflated, start=0, encoding=Encoding(True, True), transfer_syntax_uid=syntax, header_end=end
        )
    encoding = _encoding(syntax, data, end)
    return Stream(
        data=data,
        start=end,
        encoding=encoding,
        transfer_syntax_uid=syntax or _syntax_of(encoding),
        header_end=end,
    )


def elements(data: bytes, start: int, end: int, encoding: Encoding) -> Iterator[Element]:
    """Yield each element between two offsets, in order; nested content and fragments are skipped.

    Stops where the bytes end in the middle of an element's head. An element whose value runs past `end` is still
    yielded, with its stated length: the caller sees that it is truncated. Zeros after the last element are padding.
    """
    position = start
    while position + 8 <= end:
        element = _head(data, position, encoding)
        if element.tag in _DELIMITERS or (element.tag == 0 and element.length == 0):
            return
        yield element
        length = element.length
        position = element.start + length if length != UNDEFINED else end_of(data, element, end, encoding)


def end_of(data: bytes, element: Element, end: int, encoding: Encoding, deepest: int | None = None) -> int:
    """Return the offset after an element's value; for an undefined length, the one after its delimiter, at most `end`.

    Raises MalformedStream where sequences of undefined length are nested deeper than `deepest`, if that is given.
    """
    if element.length != UNDEFINED:
        return element.start + element.length
    return _skip(
        data, element.start, end, _Level(False, inside(element.vr, encoding, data, element.start)), deepest
    )


def items(data: bytes, element: Element, end: int, encoding: Encoding) -> Iterator[tuple[int, int]]:
    """Yield start and end of each item of a sequence element that lies before `end`."""
    position = element.start
    stop = end if element.length == UNDEFINED else min(end, position + element.length)
    while position + 8 <= stop:
        tag, start, length = _item_head(data, position, encoding)
        if tag == _SEQUENCE_END:
            return
        if length != UNDEFINED:
            position = start + length
            yield start, min(position, stop)
        else:
            position = _skip(data, start, stop, _Level(True, encoding))
            yield start, position


def inside(vr: bytes, encoding: Encoding, data: bytes = b"", start: int = 0) -> Encoding:
    """Return the encoding of a sequence's items: implicit little endian in one sent as UN (PS3.5 6.2.2).

    Some systems leave them explicit, which shows in the first element of the first item if `data` is given.
    """
    if vr != b"UN":
        return encoding
    first = data[start + 12 : start + 14]
    return Encoding(first in _LONG_VRS or first in _SHORT_VRS, True)


class _Level(NamedTuple):
    """Where a walk through undefined lengths stands: inside an item, or between the items of a sequence."""

    in_item: bool
    encoding: Encoding


def _skip(data: bytes, position: int, end: int, level: _Level, deepest: int | None = None) -> int:
    """Return the offset after the delimiter that closes `level`; `end` where there is none.

    Deep nesting costs no stack.
    """
    open_levels = [level]
    while open_levels:
        if position + 8 > end:
            return end
        in_item, encoding = open_levels[-1]
        if in_item:
            tag, vr, start, length = _head(data, position, encoding)
            inner = _Level(False, inside(vr, encoding, data, start))
        else:
            tag, start, length = _item_head(data, position, encoding)
            inner = _Level(True, encoding)
        if tag in _DELIMITERS:
            open_levels.pop()
            position += 8
        elif length == UNDEFINED:
            open_levels.append(inner)
            position = start
            if (
                deepest is not None and len(open_levels) > 2 * deepest
            ):  # a sequence and its item are two levels
                raise MalformedStream(f"sequences are nested deeper than {deepest}, at byte {start}")
        else:
            position = start + length
    return position


def _head(data: bytes, position: int, encoding: Encoding) -> Element:
    if not encoding.explicit:
        group, number, length = _IMPLICIT(data, position)
        return Element(group << 16 | number, b"", position + 8, length)
    group, number, vr, length = (_EXPLICIT if encoding.little else _EXPLICIT_BIG)(data, position)
    tag = group << 16 | number
    if tag in _DELIMITERS:
        return Element(tag, b"", position + 8, 0)
    if vr not in _LONG_VRS and (vr in _SHORT_VRS or not _is_long(data, position, vr)):
        return Element(tag, vr, position + 8, length)
    if position + 12 > len(data):
        raise MalformedStream(f"the bytes end inside an element's head, at byte {position}")
    return Element(tag, vr, position + 12, (_LONG if encoding.little else _LONG_BIG)(data, position + 8)[0])


def _is_long(data: bytes, position: int, vr: bytes) -> bool:
    """Tell whether an element whose VR is unknown has a 32-bit length.

    Two capital letters may be a VR of a later standard, which has one, as DCMTK reads it; its two reserved bytes are
    zero then (PS3.5 7.1.2). Anything else in their place is a 16-bit length.
    """
    return vr.isalpha() and vr.isupper() and data[position + 6 : position + 8] == b"\0\0"


def _item_head(data: bytes, position: int, encoding: Encoding) -> tuple[int, int, int]:
    group, number, length = (_IMPLICIT if encoding.little else _IMPLICIT_BIG)(data, position)
    tag = group << 16 | number
    if tag not in (_ITEM, _SEQUENCE_END):
        raise MalformedStream(f"no item where one must be, at byte {position}")
    return tag, position + 8, length


def _file_meta(data: bytes, position: int) -> tuple[str, int]:
    """Return the transfer syntax UID ("" where none is stated) and the offset at which group 0002 ends."""
    syntax, end, stated_end = "", position, -1
    for element in elements(data, position, len(data), Encoding(True, True)):
        # It ends after its stated length, where that is right: anything more is the dataset's own group 0002.
        if element.tag >> 16 != 0x0002 or (end == stated_end and syntax):
            break
        if element.length == UNDEFINED:
            raise MalformedStream("file meta information of undefined length")
        end = element.start + element.length
        if element.tag == 0x00020000 and element.length == 4:
            stated_end = end + int.from_bytes(data[element.start : end], "little")
        if element.tag == 0x00020010:
            syntax = data[element.start : end].decode("ascii", "replace").rstrip("\0 ")
    return syntax, end


def _encoding(syntax: str, data: bytes, start: int) -> Encoding:
    if syntax == ImplicitVRLittleEndian:
        return Encoding(False, True)
    if syntax == ExplicitVRBigEndian:
        return Encoding(True, False)
    if syntax:
        return Encoding(True, True)
    if start + 8 > len(data):
        raise MalformedStream("there is no dataset")
    little = int.from_bytes(data[start : start + 2], "little") < int.from_bytes(
        data[start : start + 2], "big"
    )
    if int.from_bytes(data[start : start + 2], "little" if little else "big") not in range(0x0002, 0x0021):
        raise MalformedStream("these bytes do not begin like a DICOM dataset")
    explicit = data[start + 4 : start + 6].isalpha() and data[start + 4 : start + 6].isupper()
    return Encoding(explicit, little)


def _syntax_of(encoding: Encoding) -> str:
    if not encoding.explicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if encoding.little else ExplicitVRBigEndian)


def _inflate(packed: bytes) -> bytes:
    most = min(MOST_INFLATED_BYTES, max(_ALWAYS_INFLATED_BYTES, _LARGEST_EXPANSION * len(packed)))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(packed, most)
    except zlib.error as error:
        raise MalformedStream(f"deflated dataset that does not inflate: {error}") from error
    if inflater.unconsumed_tail:
        raise MalformedStream(f"deflated dataset of more than {most} bytes, swollen from {len(packed)}")
    return plain

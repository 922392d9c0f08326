"""Random mutations of byte streams: blind ones, and ones that know DICOM's elements."""

import random
import struct
import zlib
from collections.abc import Callable, Sequence

from reliability.dicom_marks import ITEM, SEQUENCE_END, UNDEFINED, ElementEncoding, Mark, marks

Blind = Callable[[bytes, random.Random], bytes]

_NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"-1e308",
    b"nan",
    b"inf",
    b"1e-320",
    b"0x10",
    b"9" * 400,
    b"1_0",
    b"+ 1",
    b"",
)
_TEXTS = (
    b"", b"\\" * 50, b"\0" * 8, b"\xff\xfe\xfd", b"A" * 70000, "\u0661\u0662".encode(), b"1.2.3" * 30, b"\x1b$)C\xb1\xe8",
    b"../../etc/passwd", b"%s%n", b"1\\2\\3\\4\\5\\6\\7\\8", b" ",
)  # fmt: skip
_LENGTHS = (0, 1, 2, 3, 7, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, UNDEFINED)
_VRS = (
    b"SQ",
    b"UN",
    b"OB",
    b"OW",
    b"UT",
    b"DS",
    b"IS",
    b"UI",
    b"CS",
    b"PN",
    b"FD",
    b"AT",
    b"SS",
    b"US",
    b"??",
    b"\0\0",
)
_TAGS = (
    ITEM, 0xFFFEE00D, SEQUENCE_END, 0x7FE00010, 0x00020010, 0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E,
    0x00200032, 0x00280010, 0x00280002, 0x3006002A, 0x30060050, 0x30060039, 0x00091001, 0xFFFFFFFF, 0,
)  # fmt: skip
_DEPTHS = (3, 60, 900, 3000, 20000)


def bits(data: bytes, rng: random.Random) -> bytes:
    """Flip a few bits."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def noise(data: bytes, rng: random.Random) -> bytes:
    """Put random bytes somewhere, over others or between them."""
    place = rng.randrange(len(data) + 1)
    new = rng.randbytes(rng.choice((1, 2, 4, 16, 300)))
    return data[:place] + new + data[place + (len(new) if rng.random() < 0.5 else 0) :]


def cut(data: bytes, rng: random.Random) -> bytes:
    """Cut everything after some byte."""
    return data[: rng.randrange(len(data) + 1)]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """Repeat a piece once, or very often."""
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice((1, 8, 64, 1000))]
    return data[:start] + piece * rng.choice((2, 2, 3, 200)) + data[start:]


def swap(data: bytes, rng: random.Random) -> bytes:
    """Swap two pieces."""
    first, second, third = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:first] + data[second:third] + data[first:second] + data[third:]


BLIND: Sequence[Blind] = (bits, noise, cut, repeat, swap)


def blindly(data: bytes, rng: random.Random) -> bytes:
    """Apply one to three blind mutations."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(BLIND)(data, rng)
    return data


def data_set(data: bytes, start: int, encoding: ElementEncoding, rng: random.Random) -> bytes:
    """Apply one to four mutations to the elements from ``start`` on, and sometimes a blind one as well."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        known = marks(data, start, encoding)
        if not known:
            return blindly(data, rng)
        data = rng.choice(_ELEMENT)(data, rng.choice(known), encoding, rng)
    return blindly(data, rng) if rng.random() < 0.1 else data


def deflated(data: bytes, rng: random.Random) -> bytes:
    """Return a deflated stream: intact, damaged, or one that inflates a thousandfold."""
    if rng.random() < 0.1:
        data += bytes(rng.choice((1 << 16, 1 << 20, 1 << 24, 20_000_000)))
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(data) + packer.flush()
    return stream if rng.random() < 0.3 else blindly(stream, rng)


def _length(data: bytes, mark: Mark, encoding: ElementEncoding, rng: random.Random) -> bytes:
    actual = mark.end - mark.value_at
    wanted = rng.choice((*_LENGTHS, actual + 1, actual + 2, max(0, actual - 1), len(data)))
    return _with_length(data, mark, wanted, encoding)


def _vr(data: bytes, mark: Mark, encoding: ElementEncoding, rng: random.Random) -> bytes:
    if not encoding.explicit:
        return _length(data, mark, encoding, rng)
    return data[: mark.start + 4] + rng.choice(_VRS) + data[mark.start + 6 :]


def _tag(data: bytes, mark: Mark, encoding: ElementEncoding, rng: random.Random) -> bytes:
    tag = rng.choice((*_TAGS, rng.getrandbits(32)))
    packed = struct.pack(f"{encoding.order}HH", tag >> 16, tag & 0xFFFF)
    return data[: mark.start] + packed + data[mark.start + 4 :]


def _value(data: bytes, mark: Mark, encoding: ElementEncoding, rng: random.Random) -> bytes:
    """Put another value, with its correct length as far as the length field can hold it."""
    value = rng.choice((rng.choice(_NUMBERS), rng.choice(_TEXTS), rng.randbytes(6)))
    if rng.random() < 0.3:
        parts = data[mark.value_at : mark.end].split(b"\\")
        parts[rng.randrange(len(parts))] = rng.choice(_NUMBERS)
        value = b"\\".join(parts)
    value += b" " * (len(value) % 2)
    lengthened = _with_length(data, mark, len(value), encoding)
    return lengthened[: mark.value_at] + value + data[mark.end :]


def _drop(data: bytes, mark: Mark, _encoding: ElementEncoding, _chance: random.Random) -> bytes:
    return data[: mark.start] + data[mark.end :]


def _again(data: bytes, mark: Mark, _encoding: ElementEncoding, rng: random.Random) -> bytes:
    element = data[mark.start : mark.end]
    return data[: mark.end] + element * rng.choice((1, 1, 2, 50)) + data[mark.end :]


def _elsewhere(data: bytes, mark: Mark, encoding: ElementEncoding, rng: random.Random) -> bytes:
    target = rng.choice(marks(data, mark.start, encoding))
    element = data[mark.start : mark.end]
    return data[: mark.start] + data[mark.end : target.start] + element + data[max(mark.end, target.start) :]


def _deep(data: bytes, mark: Mark, encoding: ElementEncoding, rng: random.Random) -> bytes:
    """Insert sequences in sequences, thousands deep, closed or not."""
    order, depth = encoding.order, rng.choice(_DEPTHS)
    vr = b"SQ\0\0" if encoding.explicit else b""
    opened = struct.pack(f"{order}HH", 0x0008, 0x1140) + vr + struct.pack(f"{order}L", UNDEFINED)
    opened += struct.pack(f"{order}HHL", 0xFFFE, 0xE000, UNDEFINED)
    closed = struct.pack(f"{order}HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    nested = opened * depth + (closed * depth if rng.random() < 0.6 else b"")
    return data[: mark.start] + nested + data[mark.start :]


def _end(data: bytes, mark: Mark, _encoding: ElementEncoding, rng: random.Random) -> bytes:
    return data[: rng.choice((mark.start, mark.length_at, mark.value_at, mark.end))]


_ELEMENT = (_length, _length, _vr, _tag, _value, _value, _value, _drop, _again, _elsewhere, _deep, _end)


def _with_length(data: bytes, mark: Mark, length: int, encoding: ElementEncoding) -> bytes:
    code, most = ("L", UNDEFINED) if mark.length_bytes == 4 else ("H", 0xFFFF)
    packed = struct.pack(f"{encoding.order}{code}", min(length, most))
    return data[: mark.length_at] + packed + data[mark.value_at :]

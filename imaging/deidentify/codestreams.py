"""Compressed frames without anything but the image: no comments, application data, or bytes after the end.

Such bytes are overwritten with zeros, so that every length and offset stays true (T.81 B.2, T.800 A, PS3.5 A.4 and G).
"""

import re
import struct
from collections.abc import Callable, Iterator

from pydicom.uid import (
    HTJ2K,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

Blank = Callable[[bytearray], int | None]
_ITEM = struct.Struct("<HHI")
_JPEG_NEXT = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_JPEG_LS_NEXT = re.compile(rb"\xff[\x80-\xfe]", re.DOTALL)
_COMMENTS = frozenset({0xFE, *range(0xE0, 0xF0)})  # COM, APPn
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_END, _SCAN = 0xD9, 0xDA
_J2K_COMMENT, _J2K_TILE, _J2K_DATA, _J2K_END = 0xFF64, 0xFF90, 0xFF93, 0xFFD9


def clean_encapsulated(value: bytes, syntax: UID, frames: int, pixels: int) -> bytes:
    """Return encapsulated Pixel Data with nothing in it but images; `pixels` is rows times columns.

    Raises ValueError where the frames cannot be told apart, struct.error where one is truncated.
    """
    table, *pieces = _items(value)
    blank = _blank_for(syntax, pixels)
    cleaned: list[bytes] = []
    starts: list[int] = []
    for _ in range(frames):
        starts.append(sum(len(piece) + _ITEM.size for piece in cleaned))
        cleaned += _one_frame(pieces[len(cleaned) :], blank)
    known = len(table) == 4 * frames and list(struct.unpack(f"<{frames}I", table)) == starts
    written = [table if known else b"", *cleaned]
    return b"".join(_ITEM.pack(0xFFFE, 0xE000, len(piece)) + piece for piece in written)


def _items(value: bytes) -> Iterator[bytes]:
    position = 0
    while position + _ITEM.size <= len(value):
        group, element, length = _ITEM.unpack_from(value, position)
        if (group, element) != (0xFFFE, 0xE000):
            return
        yield value[position + _ITEM.size : position + _ITEM.size + length]
        position += _ITEM.size + length


def _one_frame(pieces: list[bytes], blank: Blank) -> list[bytes]:
    """Return the fragments of the frame that begins here, with zeros for what is not image data."""
    frame = bytearray()
    for count, piece in enumerate(pieces, 1):
        frame += piece
        end = blank(frame)
        if end is not None:
            frame[end:] = bytes(len(frame) - end)
            return _cut(bytes(frame), [len(one) for one in pieces[:count]])
    raise ValueError("a frame has no end")


def _cut(frame: bytes, lengths: list[int]) -> list[bytes]:
    cut, position = [], 0
    for length in lengths:
        cut.append(frame[position : position + length])
        position += length
    return cut


def _blank_for(syntax: UID, pixels: int) -> Blank:
    if syntax == RLELossless:
        return lambda frame: _rle(frame, pixels)
    if syntax in JPEGLSTransferSyntaxes:
        return lambda frame: _jpeg(frame, _JPEG_LS_NEXT)
    if syntax in JPEGTransferSyntaxes:
        return lambda frame: _jpeg(frame, _JPEG_NEXT)
    if syntax in {*JPEG2000TransferSyntaxes, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL}:
        return _jpeg_2000
    raise ValueError(f"{syntax.name} is not cleaned here")


def _jpeg(frame: bytearray, following: re.Pattern[bytes]) -> int | None:
    """Blank a JPEG or JPEG-LS stream's COM and APPn; return where it ends, None where its end is still to come."""
    if frame[:2] != b"\xff\xd8":
        raise ValueError("a frame is no JPEG stream")
    position, in_scan = 2, False
    while (found := following.search(frame, position)) is not None:
        if not in_scan:
            frame[position : found.start()] = b"\xff" * (found.start() - position)  # fill bytes (B.1.1.2)
        marker, position = frame[found.start() + 1], found.end()
        if marker == _END:
            return position
        in_scan = marker == _SCAN
        if marker not in _ALONE:
            length = int.from_bytes(frame[position : position + 2], "big")
            if marker in _COMMENTS:
                _zero(frame, position + 2, position + length)
            position += length
    return None


def _jpeg_2000(frame: bytearray) -> int | None:
    """Blank the COM segments in a JPEG 2000 codestream's headers; return where it ends."""
    if frame[:2] != b"\xff\x4f":
        raise ValueError("a frame is no JPEG 2000 codestream")
    position, tile_end = 2, 0
    while position + 4 <= len(frame) or frame[position : position + 2] == b"\xff\xd9":
        marker = int.from_bytes(frame[position : position + 2], "big")
        if marker == _J2K_END:
            return position + 2
        if marker == _J2K_DATA:
            position = tile_end or frame.find(b"\xff\xd9", position)
            if position < 0:
                return None
            continue
        if marker == _J2K_TILE:
            size = int.from_bytes(frame[position + 6 : position + 10], "big")
            tile_end = position + size if size else 0
        length = int.from_bytes(frame[position + 2 : position + 4], "big")
        if marker == _J2K_COMMENT:
            _zero(frame, position + 6, position + 2 + length)
        position += 2 + length
    return None


def _rle(frame: bytearray, pixels: int) -> int | None:
    """Blank what follows each segment of an RLE frame; return where the last one ends."""
    count, *starts = struct.unpack_from("<16L", frame)
    starts = starts[:count]
    if not starts or list(starts) != sorted(starts) or starts[0] < 64:
        raise ValueError("an RLE frame has no segments in order")
    frame[4 + 4 * count : 64] = bytes(60 - 4 * count)
    end = 64
    for start, limit in zip(starts, [*starts[1:], len(frame)], strict=True):
        _zero(frame, end, start)
        end = _segment_end(frame, start, pixels)
        if end > limit:
            return None
        _zero(frame, end, limit)
    return end


def _segment_end(frame: bytearray, position: int, pixels: int) -> int:
    decoded = 0
    while decoded < pixels and position < len(frame):
        code = frame[position]
        decoded += 0 if code == 128 else code + 1 if code < 128 else 257 - code
        position += 1 if code == 128 else code + 2 if code < 128 else 2
    return position if decoded >= pixels else len(frame) + 1


def _zero(frame: bytearray, start: int, end: int) -> None:
    end = min(end, len(frame))
    if end > start:
        frame[start:end] = bytes(end - start)

"""What a compressed frame says of itself, read before any decoder allocates memory for it."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from pydicom.uid import RLELossless

from imaging.dicom.elements import Element, Stream, items

_J2K_START = b"\xff\x4f\xff\x51"
_J2K_SIZES = struct.Struct(
    ">HH8LH"
).unpack_from  # Lsiz Rsiz, image and tile sizes and offsets, Csiz (T.800 A.5.1)
_START_OF_SCAN = 0xDA
_SIZED = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7})  # SOFn of T.81 B.1, SOF55 of T.87
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})  # markers without a length
_MOST_TILES = 65535


class FrameHeader(NamedTuple):
    """Rows, columns, samples per pixel, bits per sample, and whether they are signed (only JPEG 2000 can say so)."""

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool


def frame_header(frame: bytes, transfer_syntax_uid: str) -> FrameHeader | None:
    """Return the header of a JPEG, JPEG-LS or JPEG 2000 frame; None for RLE, which has none.

    Raises ValueError where the frame has no such header, or one that contradicts itself.
    """
    if transfer_syntax_uid == RLELossless:
        return None
    if frame[:2] == b"\xff\xd8":
        return _jpeg(frame)
    return _jpeg_2000(frame)


def fragments(stream: Stream, pixels: Element) -> bytes:
    """Return the bytes of a single frame: every fragment after the offset table (PS3.5 A.4)."""
    found = [
        stream.data[start:end] for start, end in items(stream.data, pixels, len(stream.data), stream.encoding)
    ]
    return b"".join(found[1:])


def _jpeg(frame: bytes) -> FrameHeader:
    sizes = set(_frame_headers(frame))
    if len(sizes) != 1:
        raise ValueError(f"it has {len(sizes)} frame headers instead of one")
    return sizes.pop()


def _frame_headers(frame: bytes) -> Iterator[FrameHeader]:
    """Yield each SOF segment; also those after the first scan, which decoders treat differently."""
    position = 2
    while position + 4 <= len(frame):
        if frame[position] != 0xFF or frame[position + 1] in (0x00, 0xFF):
            position += 1
            continue
        marker = frame[position + 1]
        if marker in _SIZED and position + 10 <= len(frame):
            _, precision, rows, columns, samples = struct.unpack_from(">HBHHB", frame, position + 2)
            yield FrameHeader(rows, columns, samples, precision, signed=False)
        if marker == _START_OF_SCAN:
            return
        position += 2 if marker in _ALONE else 2 + int.from_bytes(frame[position + 2 : position + 4], "big")


def _jpeg_2000(frame: bytes) -> FrameHeader:
    start = 0 if frame.startswith(_J2K_START) else frame.find(_J2K_START)
    if start < 0 or (start and frame.count(_J2K_START) > 1) or start + 4 + 39 > len(frame):
        raise ValueError("it has no header of JPEG or JPEG 2000, or more than one")
    _, _, right, bottom, left, top, tile_x, tile_y, tiles_left, tiles_top, samples = _J2K_SIZES(
        frame, start + 4
    )
    if not (right > left and bottom > top and tile_x and tile_y):
        raise ValueError("its JPEG 2000 header describes no image")
    tiles = -(-(right - tiles_left) // tile_x) * -(-(bottom - tiles_top) // tile_y)
    if tiles > _MOST_TILES:
        raise ValueError(f"it has {tiles} tiles; JPEG 2000 allows {_MOST_TILES}")
    depth = frame[start + 4 + 38]  # Ssiz of the first component: sign, and bits minus one (T.800 A.5.1)
    return FrameHeader(bottom - top, right - left, samples, (depth & 0x7F) + 1, signed=bool(depth & 0x80))

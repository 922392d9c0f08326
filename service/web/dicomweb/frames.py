"""The frames of a stored image: as they are in the file, decoded only for clients that do not accept that form."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
from fastapi import HTTPException
from pydicom import FileDataset, dcmread
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from service.store.jobs.kept_objects import KeptObject
from service.web.dicomweb.kept import ObjectGone, opened
from service.web.parts import WebParts

RAW = "application/octet-stream"
PLAIN = f"{RAW}; transfer-syntax={ExplicitVRLittleEndian}"
MEDIA_TYPES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
PIXEL_DATA = 0x7FE00010


def read_frames(
    parts: WebParts, kept: KeptObject, numbers: Sequence[int], accept: str
) -> tuple[str, Iterator[bytes]]:
    """Return the media type of frames and the frames with these numbers, which count from 1.

    Raises:
        HTTPException: 404, the object has no such frame.
        ObjectGone: the file is missing or damaged.
    """
    stream = opened(parts, kept)
    header = dcmread(stream, stop_before_pixels=True)
    count = int(header.get("NumberOfFrames") or 1) if "Rows" in header else 0
    if any(not 1 <= number <= count for number in numbers):
        stream.close()
        raise HTTPException(404, f"The object has {count} frames, counted from 1.")
    syntax = header.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return PLAIN, _native(stream, header, numbers)
    if _takes_stored(accept, syntax):
        return f"{MEDIA_TYPES.get(syntax, RAW)}; transfer-syntax={syntax}", _stored(stream, numbers, count)
    return PLAIN, (_decoded(stream, number) for number in numbers)


def _takes_stored(accept: str, syntax: UID) -> bool:
    """Tell whether a request accepts the stored form: all do but those that ask only for uncompressed pixels."""
    said = accept.replace('"', "").replace(" ", "").lower()
    is_any = RAW not in said or "image/" in said
    return is_any or any(f"transfer-syntax={one}" in said for one in ("*", str(syntax)))


def _native(stream: BinaryIO, header: FileDataset, numbers: Sequence[int]) -> Iterator[bytes]:
    size = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel") or 1)
    bits = size * int(header.BitsAllocated)
    if header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        stream.seek(0)
        pixels = dcmread(stream).PixelData
        for number in numbers:
            yield _bits(pixels, (number - 1) * bits, bits)
        return
    start = _value_start(stream)
    for number in numbers:
        first = (number - 1) * bits
        stream.seek(start + first // 8)
        data = stream.read((first % 8 + bits + 7) // 8)
        if len(data) < (bits + 7) // 8:
            raise ObjectGone(f"object {header.SOPInstanceUID} has fewer pixels than its header says")
        yield _little(_bits(data, first % 8, bits), header)


def _bits(data: bytes, first: int, bits: int) -> bytes:
    """Return some bits as bytes; in images of one bit per pixel, frames need not begin at a byte (PS3.5 8.1.1)."""
    if first % 8 == 0:
        return data[first // 8 : (first + bits + 7) // 8]
    unpacked = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[first : first + bits]
    return np.packbits(unpacked, bitorder="little").tobytes()


def _little(data: bytes, header: FileDataset) -> bytes:
    if header.file_meta.TransferSyntaxUID != ExplicitVRBigEndian or header.BitsAllocated <= 8:
        return data
    return np.frombuffer(data, f"u{header.BitsAllocated // 8}").byteswap().tobytes()


def _stored(stream: BinaryIO, numbers: Sequence[int], count: int) -> Iterator[bytes]:
    start = _value_start(stream)
    for number in numbers:
        stream.seek(start)
        yield get_frame(stream, number - 1, number_of_frames=count)


def _decoded(stream: BinaryIO, number: int) -> bytes:
    stream.seek(0)
    return pixel_array(stream, index=number - 1, raw=True).tobytes()


def _value_start(stream: BinaryIO) -> int:
    """Return where the value of Pixel Data begins in a file that is not deflated."""
    stream.seek(0)
    header = dcmread(stream, stop_before_pixels=True)
    syntax, place = header.file_meta.TransferSyntaxUID, stream.tell()
    order = "<u2" if syntax.is_little_endian else ">u2"
    group, element = np.frombuffer(stream.read(4).ljust(4, b"\0"), order).tolist()
    if (group << 16) + element != PIXEL_DATA:
        raise HTTPException(404, "The object has no pixels.")
    return place + (8 if syntax.is_implicit_VR else 12)

"""Cells of a CT slice in every encoding that is read.

Bits a pixel and sign as a test asks, whatever the header says.
"""

import struct
from collections.abc import Callable

import numpy as np
from jpeg_ls import encode_buffer
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from tests.imaging.ct_slices import part10

Cells = NDArray[np.uint16]
"""16-bit cells with whatever stands in their unused bits."""
File = Callable[[Dataset, Cells], bytes]
"""The file of a 16-bit slice whose header says what it will, around such cells."""


def plain(syntax: str) -> File:
    """Uncompressed little endian."""

    def file(dataset: Dataset, cells: Cells) -> bytes:
        dataset.PixelData = cells.astype("<u2").tobytes()
        return part10(dataset, syntax)

    return file


def big_endian(dataset: Dataset, cells: Cells) -> bytes:
    """Uncompressed big endian."""
    dataset.PixelData = cells.astype(">u2").tobytes()
    return part10(dataset, ExplicitVRBigEndian)


def rle(dataset: Dataset, cells: Cells) -> bytes:
    """RLE Lossless, which encodes cells as they are."""
    stored, high = dataset.BitsStored, dataset.HighBit
    dataset.BitsStored, dataset.HighBit = 16, 15
    dataset.PixelData = cells.astype("<u2").tobytes()
    part10(dataset)
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = stored, high
    return part10(dataset, RLELossless)


def jpeg_2000(precision: int, *, signed: bool) -> File:
    """JPEG 2000 of the lowest `precision` bits of each cell, as signed numbers or not."""

    def frame(cells: Cells) -> bytes:
        spare = 16 - precision
        numbers = (cells << spare).view(np.int16 if signed else np.uint16) >> spare
        return bytes(encode_array(np.ascontiguousarray(numbers), bits_stored=precision))

    return encapsulated(frame, JPEG2000Lossless)


def jpeg_ls(precision: int) -> File:
    """JPEG-LS, which knows no sign, of the lowest `precision` bits of each cell."""

    def frame(cells: Cells) -> bytes:
        numbers = cells & np.uint16((1 << precision) - 1)
        return bytes(encode_buffer(numbers.tobytes(), *cells.shape, 1, precision))

    return encapsulated(frame, JPEGLSLossless)


def jpeg_lossless(precision: int) -> File:
    """JPEG Lossless, first-order prediction (T.81 annex H), of the lowest `precision` bits of each cell."""

    def frame(cells: Cells) -> bytes:
        numbers = (cells & np.uint16((1 << precision) - 1)).astype(np.int64)
        predicted = np.empty_like(numbers)
        predicted[:, 1:] = numbers[:, :-1]
        predicted[1:, 0] = numbers[:-1, 0]
        predicted[0, 0] = 1 << (precision - 1)
        steps = (numbers - predicted + 32767) % 65536 - 32767  # -32767 to 32768
        bits = "".join(_step(int(step)) for step in steps.ravel())
        bits += "1" * (-len(bits) % 8)
        scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
        start = b"\xff\xc3" + struct.pack(">HBHHB", 11, precision, *cells.shape, 1) + b"\1\x11\0"
        lengths = bytes([0, 0, 0, 0, 17]) + bytes(11)  # seventeen codes of five bits
        table = b"\xff\xc4" + struct.pack(">HB", 3 + 16 + 17, 0) + lengths + bytes(range(17))
        return b"\xff\xd8" + start + table + b"\xff\xda\0\x08\1\1\0\1\0\0" + scan + b"\xff\xd9"

    return encapsulated(frame, JPEGLosslessSV1)


def _step(step: int) -> str:
    """The bits of a difference: its size, and which of that size."""
    size = abs(step).bit_length() if step != 32768 else 16
    which = step if step > 0 else step + (1 << size) - 1
    return f"{size:05b}" + (f"{which:0{size}b}" if size not in (0, 16) else "")


def encapsulated(frame: Callable[[Cells], bytes], syntax: str) -> File:
    """The file of a slice around a compressed frame."""

    def file(dataset: Dataset, cells: Cells) -> bytes:
        dataset.PixelData = encapsulate([frame(cells)])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        return part10(dataset, syntax)

    return file


WHOLE_CELLS: dict[str, File] = {
    "implicit": plain(ImplicitVRLittleEndian),
    "explicit": plain(ExplicitVRLittleEndian),
    "deflated": plain(DeflatedExplicitVRLittleEndian),
    "big endian": big_endian,
    "RLE": rle,
    "JPEG lossless": jpeg_lossless(16),
    "JPEG-LS": jpeg_ls(16),
    "JPEG 2000 unsigned": jpeg_2000(16, signed=False),
    "JPEG 2000 signed": jpeg_2000(16, signed=True),
}
"""Encodings that carry all 16 bits of a cell, used or not."""

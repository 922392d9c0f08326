"""Stored pixel values of one CT slice, identical in every transfer syntax.

Cells of every encoding are treated alike: the bits that Bits Stored (0028,0101) and High Bit (0028,0102) name are
extracted, and their sign is extended (PS3.5 8.1.1). Unused bits may hold anything: zeros, the sign, an old overlay. A
codestream has a precision and a sign of its own (PS3.5 8.2.4), which may differ from the header's.
"""

import io
import warnings
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from imaging.ct.frame_size import FrameHeader, fragments, frame_header
from imaging.ct.pixel_format import PixelFormat, require_pixels
from imaging.ct.raw_slice import RawSlice, named
from imaging.dicom.elements import UNDEFINED
from imaging.errors import PARSE_ERRORS, ImageRefused, RefusalCode

SLACK_BYTES = 65536
"""How much headers and tables may add to a compressed frame."""
_AS_CODED: Any = MappingProxyType(
    {"apply_j2k_sign_correction": False, "apply_jls_sign_correction": False, "correct_unused_bits": False}
)
_FEWEST_EDGES = 8
"""How many pairs of adjacent pixels must agree to prove that values extend beyond Bits Stored."""


class Cells(NamedTuple):
    """The cells of an image as unsigned numbers (y, x), and how many bits of each the encoding gave."""

    values: NDArray[np.unsignedinteger]
    bits: int


def stored_values(raw: RawSlice, layout: PixelFormat) -> tuple[NDArray[np.integer], NDArray[np.bool_] | None]:
    """Return stored values (y, x), and where a cell held a padding value that Bits Stored cannot hold (None: nowhere).

    A view of the file's bytes where nothing has to change. Raises ImageRefused where pixel data is truncated, cannot be
    decoded, has another shape, or extends beyond Bits Stored.
    """
    compressed = raw.pixels is not None and raw.pixels.length == UNDEFINED
    cells = _decoded(raw, layout) if compressed else _plain(raw, layout)
    return _significant(raw, layout, cells)


def _plain(raw: RawSlice, layout: PixelFormat) -> Cells:
    """Return uncompressed cells as a view of the file's bytes."""
    require_pixels(raw)
    assert raw.pixels is not None
    stream, count = raw.stream, layout.rows * layout.columns
    available = min(raw.pixels.length, len(stream.data) - raw.pixels.start)
    if available < count * layout.bits_allocated // 8:
        needed = count * layout.bits_allocated // 8
        raise raw.refusal(RefusalCode.TRUNCATED_PIXELS, "PixelData", f"has {available} bytes, needs {needed}")
    order = "<" if stream.encoding.little else ">"
    if layout.bits_allocated == 8:
        values = _eight_bits(raw, count)
    else:
        values = np.frombuffer(stream.data, f"{order}u2", count, raw.pixels.start).astype("u2", copy=False)
    return Cells(values.reshape(layout.rows, layout.columns), layout.bits_allocated)


def _eight_bits(raw: RawSlice, count: int) -> NDArray[np.unsignedinteger]:
    """Return 8-bit values; in big endian they may sit in 16-bit words (OW) and are swapped back (PS3.5 A.3)."""
    assert raw.pixels is not None
    start, data = raw.pixels.start, raw.stream.data
    if raw.stream.encoding.little or raw.pixels.vr != b"OW":
        return np.frombuffer(data, np.uint8, count, start)
    words = np.frombuffer(data[start : start + count + count % 2].ljust(count + count % 2), np.uint8)
    return words.reshape(-1, 2)[:, ::-1].reshape(-1)[:count]


def _decoded(raw: RawSlice, layout: PixelFormat) -> Cells:
    """Return the cells of a compressed slice from pydicom's decoders; the sign is not left to them."""
    syntax = UID(raw.stream.transfer_syntax_uid)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        found = f"{raw.called} is compressed as {syntax.name or syntax}, which is not read"
        message = f"{found}. Send it in another transfer syntax."
        raise ImageRefused(RefusalCode.UNSUPPORTED_PIXELS, message) from error
    header = _checked_header(raw, layout)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the file claims is checked below, against what was decoded
            dataset = dcmread(io.BytesIO(raw.stream.data), force=True)
            array, _ = decoder.as_array(
                dataset,
                raw=True,
                decoding_plugin=_plugin(syntax),
                **_AS_CODED,
            )
    except PARSE_ERRORS as error:
        found = f"cannot be decoded as {syntax.name}: {error}"
        raise raw.refusal(RefusalCode.TRUNCATED_PIXELS, "PixelData", found) from error
    if array.shape != (layout.rows, layout.columns):
        found = f"decodes to shape {array.shape}, not {layout.rows} x {layout.columns}"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelData", found)
    bits = layout.bits_allocated if header is None else header.precision
    values = array.view(f"u{array.dtype.itemsize}")
    if bits < 8 * array.dtype.itemsize:  # above them stands the sign that the decoder found, or nothing
        values = values & values.dtype.type((1 << bits) - 1)
    return Cells(values, bits)


def _plugin(syntax: UID) -> str:
    """Return the one decoder used for a syntax: decoders differ where header and codestream disagree on the sign."""
    if syntax == RLELossless:
        return "pydicom"
    if syntax in JPEGLSTransferSyntaxes:
        return "pyjpegls"
    return "pylibjpeg"


def _checked_header(raw: RawSlice, layout: PixelFormat) -> FrameHeader | None:
    """Refuse a frame that is not what the object states, before a decoder trusts it and fills the memory."""
    assert raw.pixels is not None
    frame = fragments(raw.stream, raw.pixels)
    plain_bytes = layout.rows * layout.columns * layout.bits_allocated // 8
    if len(frame) > 2 * plain_bytes + SLACK_BYTES:  # RLE at its worst doubles; its best is 64 times smaller
        found = f"is compressed to {len(frame)} bytes, more than twice the {plain_bytes} of the image"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelData", found)
    try:
        header = frame_header(frame, raw.stream.transfer_syntax_uid)
    except ValueError as error:
        found = f"cannot be decoded: {error}"
        raise raw.refusal(RefusalCode.TRUNCATED_PIXELS, "PixelData", found) from error
    if header is not None and header[:3] != (layout.rows, layout.columns, 1):
        found = (
            f"says {header.rows} x {header.columns} x {header.samples}, not {layout.rows} x {layout.columns}"
        )
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelData", found)
    if header is not None and not 0 < header.precision <= layout.bits_allocated:
        found = f"has {header.precision} bits a pixel, more than the {layout.bits_allocated} of {named('BitsAllocated')}"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelData", found)
    return header


def _significant(
    raw: RawSlice, layout: PixelFormat, cells: Cells
) -> tuple[NDArray[np.integer], NDArray[np.bool_] | None]:
    """Return only the stored bits, as numbers: other bits (old overlays) masked off, the sign extended."""
    low_bit = layout.high_bit + 1 - layout.bits_stored
    if cells.bits <= layout.bits_stored or layout.high_bit >= cells.bits:  # a codestream of these bits alone
        return _cut(cells.values, 0, min(cells.bits, layout.bits_stored), signed=layout.signed), None
    whole = _cut(cells.values, low_bit, cells.bits - low_bit, signed=layout.signed)
    if layout.holds(int(whole.min())) and layout.holds(int(whole.max())):
        return whole, None
    cut = _cut(cells.values, low_bit, layout.bits_stored, signed=layout.signed)
    outside = None
    if layout.padding is not None and not all(layout.holds(value) for value in layout.padding):
        outside = (whole >= layout.padding[0]) & (whole <= layout.padding[1])
        whole = np.where(outside, cut, whole)
    if goes_on(whole, cut):
        found = f"is {layout.bits_stored}, but the values go on beyond: from {whole.min()} to {whole.max()}"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "BitsStored", found)
    return cut, outside


def _cut(
    values: NDArray[np.unsignedinteger], low_bit: int, bits: int, *, signed: bool
) -> NDArray[np.integer]:
    """Return the numbers in `bits` bits from `low_bit` on."""
    width = 8 * values.dtype.itemsize
    above = width - low_bit - bits
    shifted = values << values.dtype.type(above) if above else values
    numbers = shifted.view(f"{'i' if signed else 'u'}{values.dtype.itemsize}")
    return numbers >> (width - bits) if width - bits else numbers


def goes_on(whole: NDArray[np.integer], cut: NDArray[np.integer]) -> bool:
    """Tell whether an image is smooth in all of its bits but discontinuous in those that Bits Stored names.

    Only neighbours of which one alone is changed by the cut are examined: an overlay in the unused bits makes the whole
    numbers discontinuous there, a value that needs more bits than are stored makes the cut ones so.
    """
    differs = whole != cut
    for_whole = edges = 0
    for axis in (0, 1):
        edge = np.diff(differs, axis=axis)
        steps = [np.abs(np.diff(values.astype(np.int32), axis=axis)[edge]) for values in (whole, cut)]
        for_whole += int(np.count_nonzero(steps[0] < steps[1]))
        edges += int(np.count_nonzero(steps[0] != steps[1]))
    return edges >= _FEWEST_EDGES and 2 * for_whole > edges

"""Stored pixel values of one CT slice, in any transfer syntax, to int16 HU."""

import io
import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from imaging.ct.frame_size import fragments, frame_size
from imaging.ct.raw_slice import RawSlice, named
from imaging.dicom.elements import UNDEFINED
from imaging.errors import PARSE_ERRORS, ImageRefused, RefusalCode

AIR_HU = -1000
SLACK_BYTES = 65536
"""What headers and tables may add to a compressed frame."""
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How a slice's stored values are laid out, and how they become HU."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    slope: float
    intercept: float
    padding: tuple[int, int] | None
    """Lowest and highest stored value that stand for "outside the image" (PS3.3 C.7.5.1.1.2), or None."""


def require_pixels(raw: RawSlice) -> None:
    """Return where the object has pixel data; ImageRefused for CT objects that are no images."""
    if raw.pixels is None or raw.pixels.length == 0:
        found = f"{raw.called} has no {named('PixelData')}"
        raise ImageRefused(
            RefusalCode.NO_PIXELS, f"{found}. Send the images without reports and empty objects."
        )


def pixel_format(raw: RawSlice) -> PixelFormat:
    """The slice's pixel layout; ImageRefused where it is no 8- to 16-bit greyscale with a rescale to HU."""
    photometric = raw.text("PhotometricInterpretation")
    if photometric != "MONOCHROME2" or raw.unsigned("SamplesPerPixel") != 1:
        found = f"is '{photometric}', not MONOCHROME2"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PhotometricInterpretation", found)
    allocated, stored, high = (raw.unsigned(k) for k in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated not in (8, 16) or not 0 < stored <= high + 1 <= allocated:
        found = (
            f"{allocated} with {stored} bits stored up to bit {high} is no greyscale layout of 8 or 16 bits"
        )
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "BitsAllocated", found)
    signed = raw.unsigned("PixelRepresentation")
    if signed not in (0, 1):
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelRepresentation", f"is {signed}, not 0 or 1")
    slope, intercept = raw.numbers("RescaleSlope", 1)[0], raw.numbers("RescaleIntercept", 1)[0]
    if slope == 0:
        raise raw.refusal(RefusalCode.BAD_ATTRIBUTE, "RescaleSlope", "is 0")
    return PixelFormat(
        rows=raw.unsigned("Rows"),
        columns=raw.unsigned("Columns"),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=bool(signed),
        slope=slope,
        intercept=intercept,
        padding=_padding(raw, stored, signed=bool(signed)),
    )


def read_hu(raw: RawSlice, out_yx: NDArray[np.int16]) -> None:
    """Write the slice's HU (y, x) into `out_yx`: rescaled, rounded, limited to int16, padding as air.

    Raises ImageRefused where pixel data is cut off, cannot be decoded, or has another shape.
    """
    layout = pixel_format(raw)
    if (layout.rows, layout.columns) != out_yx.shape:
        raise raw.refusal(
            RefusalCode.MIXED_GEOMETRY, "Rows", f"x Columns is {layout.rows} x {layout.columns}"
        )
    compressed = raw.pixels is not None and raw.pixels.length == UNDEFINED
    stored = _decoded(raw, layout) if compressed else _plain(raw, layout)
    _rescale(stored, layout, out_yx)


def _plain(raw: RawSlice, layout: PixelFormat) -> NDArray[np.integer]:
    """Uncompressed stored values, sign-extended; a view of the file's bytes where nothing has to change."""
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
        values = np.frombuffer(stream.data, f"{order}u2", count, raw.pixels.start)
    return _significant(values.reshape(layout.rows, layout.columns), layout)


def _eight_bits(raw: RawSlice, count: int) -> NDArray[np.integer]:
    """8-bit values; in big endian they may sit in 16-bit words (OW) and are swapped back (PS3.5 A.3)."""
    assert raw.pixels is not None
    start, data = raw.pixels.start, raw.stream.data
    if raw.stream.encoding.little or raw.pixels.vr != b"OW":
        return np.frombuffer(data, np.uint8, count, start)
    words = np.frombuffer(data[start : start + count + count % 2].ljust(count + count % 2), np.uint8)
    return words.reshape(-1, 2)[:, ::-1].reshape(-1)[:count]


def _significant(values: NDArray[np.integer], layout: PixelFormat) -> NDArray[np.integer]:
    """The stored bits alone, as numbers: other bits (old overlays) masked off, the sign extended."""
    spare_above, spare_below = (
        layout.bits_allocated - 1 - layout.high_bit,
        layout.high_bit + 1 - layout.bits_stored,
    )
    kind = np.dtype(f"{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}")
    values = values.astype(kind.str.replace("i", "u"), copy=False)
    if spare_above:
        values = values << spare_above
    values = values.view(kind)
    return values >> (spare_above + spare_below) if spare_above + spare_below else values


def _decoded(raw: RawSlice, layout: PixelFormat) -> NDArray[np.integer]:
    """Stored values of a compressed slice, by pydicom's decoders."""
    syntax = UID(raw.stream.transfer_syntax_uid)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        found = f"{raw.called} is compressed as {syntax.name or syntax}, which is not read"
        message = f"{found}. Send it in another transfer syntax."
        raise ImageRefused(RefusalCode.UNSUPPORTED_PIXELS, message) from error
    _check_frame(raw, layout)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the file claims is checked below, against what was decoded
            dataset = dcmread(io.BytesIO(raw.stream.data), force=True)
            array, _ = decoder.as_array(dataset, raw=True)
    except PARSE_ERRORS as error:
        found = f"cannot be decoded as {syntax.name}: {error}"
        raise raw.refusal(RefusalCode.TRUNCATED_PIXELS, "PixelData", found) from error
    if array.shape != (layout.rows, layout.columns):
        found = f"decodes to shape {array.shape}, not {layout.rows} x {layout.columns}"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelData", found)
    return np.asarray(array)


def _check_frame(raw: RawSlice, layout: PixelFormat) -> None:
    """Refuse a frame that is not what the object says before a decoder believes it and fills the memory."""
    assert raw.pixels is not None
    frame = fragments(raw.stream, raw.pixels)
    plain_bytes = layout.rows * layout.columns * layout.bits_allocated // 8
    if len(frame) > 2 * plain_bytes + SLACK_BYTES:  # RLE at its worst doubles; its best is 64 times smaller
        found = f"is compressed to {len(frame)} bytes, more than twice the {plain_bytes} of the image"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelData", found)
    try:
        size = frame_size(frame, raw.stream.transfer_syntax_uid)
    except ValueError as error:
        found = f"cannot be decoded: {error}"
        raise raw.refusal(RefusalCode.TRUNCATED_PIXELS, "PixelData", found) from error
    if size is not None and size != (layout.rows, layout.columns, 1):
        found = f"says {size.rows} x {size.columns} x {size.samples}, not {layout.rows} x {layout.columns}"
        raise raw.refusal(RefusalCode.UNSUPPORTED_PIXELS, "PixelData", found)


def _padding(raw: RawSlice, stored: int, *, signed: bool) -> tuple[int, int] | None:
    if not raw.values.get("PixelPaddingValue"):
        return None
    first = _stored_value(raw.unsigned("PixelPaddingValue"), stored, signed=signed)
    if not raw.values.get("PixelPaddingRangeLimit"):
        return first, first
    last = _stored_value(raw.unsigned("PixelPaddingRangeLimit"), stored, signed=signed)
    return min(first, last), max(first, last)


def _stored_value(word: int, stored: int, *, signed: bool) -> int:
    value = word & ((1 << stored) - 1)
    return value - (1 << stored) if signed and value >> (stored - 1) else value


def _rescale(stored: NDArray[np.integer], layout: PixelFormat, out_yx: NDArray[np.int16]) -> None:
    """PS3.3 C.11.1: HU = stored x slope + intercept, without wrapping round at the ends of int16."""
    slope, intercept = layout.slope, layout.intercept
    if slope == 1 and intercept == math.trunc(intercept):
        low, high = int(stored.min()) + int(intercept), int(stored.max()) + int(intercept)
        if _INT16.min <= low and high <= _INT16.max and stored.dtype.itemsize == 2:
            np.add(stored.view(np.int16), np.int16(int(intercept)), out=out_yx)
        else:
            out_yx[...] = np.clip(stored.astype(np.int64) + int(intercept), _INT16.min, _INT16.max)
    else:
        out_yx[...] = np.clip(np.rint(stored * slope + intercept), _INT16.min, _INT16.max)
    if layout.padding:
        low, high = layout.padding
        out_yx[(stored >= low) & (stored <= high)] = AIR_HU

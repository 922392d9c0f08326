"""How a slice's stored values are laid out and converted to HU or signal, from its header alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from imaging.ct.raw_slice import RawSlice, named
from imaging.errors import ImageRefused, RefusalCode


class Rescale(NamedTuple):
    """Value = stored value x slope + intercept."""

    slope: float
    intercept: float


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How a slice's stored values are laid out, and how they are converted to HU or signal."""

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

    def holds(self, value: int) -> bool:
        """Tell whether a stored value fits in Bits Stored."""
        lowest = -(1 << (self.bits_stored - 1)) if self.signed else 0
        return lowest <= value < lowest + (1 << self.bits_stored)


def require_pixels(raw: RawSlice) -> None:
    """Accept an object with pixel data; ImageRefused for objects that are not images."""
    if raw.pixels is None or raw.pixels.length == 0:
        found = f"{raw.called} has no {named('PixelData')}"
        raise ImageRefused(
            RefusalCode.NO_PIXELS, f"{found}. Send the images without reports and empty objects."
        )


def hounsfield_rescale(raw: RawSlice) -> Rescale:
    """Return slope and intercept to HU; HU grow with density, so a slope of 0 or less is refused."""
    for keyword in ("RescaleIntercept", "RescaleSlope"):
        if not raw.text(keyword):
            found = "is missing: without it stored values are no Hounsfield units"
            raise raw.refusal(RefusalCode.MISSING_ATTRIBUTE, keyword, found)
    slope, intercept = raw.numbers("RescaleSlope", 1)[0], raw.numbers("RescaleIntercept", 1)[0]
    if slope <= 0:
        found = f"is {raw.text('RescaleSlope')}, not positive: these are not Hounsfield units"
        raise raw.refusal(RefusalCode.BAD_ATTRIBUTE, "RescaleSlope", found)
    return Rescale(slope, intercept)


def pixel_format(
    raw: RawSlice, rescale_of: Callable[[RawSlice], Rescale] = hounsfield_rescale
) -> PixelFormat:
    """Return the slice's pixel layout; ImageRefused where it is not 8- to 16-bit greyscale with a rescale (to HU)."""
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
    slope, intercept = rescale_of(raw)
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


def _padding(raw: RawSlice, stored: int, *, signed: bool) -> tuple[int, int] | None:
    if not raw.values.get("PixelPaddingValue"):
        return None
    first = _stored_value(raw.unsigned("PixelPaddingValue"), stored, signed=signed)
    if not raw.values.get("PixelPaddingRangeLimit"):
        return first, first
    last = _stored_value(raw.unsigned("PixelPaddingRangeLimit"), stored, signed=signed)
    return min(first, last), max(first, last)


def _stored_value(word: int, stored: int, *, signed: bool) -> int:
    """Return the number in a 16-bit word: the whole word's where the bits above Bits Stored are not the sign.

    A word that does not fit in Bits Stored is not a value of this image: cut to them, it would equal other pixels.
    """
    spare, value = word >> stored, word & ((1 << stored) - 1)
    negative = signed and bool(value >> (stored - 1))
    if spare and not (negative and spare == (1 << (16 - stored)) - 1):
        return word - (1 << 16) if signed and word >> 15 else word
    return value - (1 << stored) if negative else value

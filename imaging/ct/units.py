"""Whether an image states that its values are Hounsfield units."""

from collections.abc import Collection

from imaging.ct.raw_slice import RawSlice
from imaging.errors import RefusalCode

HOUNSFIELD = "HU"
UNSPECIFIED = "US"
"""Rescale Type of output of unspecified units (PS3.3 C.11.1.1.2); some systems write it in every CT."""
_OTHER_QUANTITIES = frozenset(
    {
        "EFF_ATOMIC_NUM",
        "ELECTRON_DENSITY",
        "MAT_SPECIFIC",
        "MAT_FRACTIONAL",
        "MAT_VALUE_BASED",
    }
)
"""Values of Image Type whose pixels are not Hounsfield units (PS3.3 C.8.15.2.1.1.4, Multi-energy CT)."""


def check_units(raw: RawSlice, also: Collection[str] = (UNSPECIFIED,)) -> str:
    """Return a note, usually "", where values can be Hounsfield units; ImageRefused where the image says they are not.

    Rescale Type (0028,1054) is absent only where it is HU (PS3.3 C.8.2.1, type 1C). `also` are other types
    accepted as HU; the note then says so.
    """
    stated = raw.text("RescaleType")
    taken = {kind.upper() for kind in also}
    if stated and stated.upper() != HOUNSFIELD and stated.upper() not in taken:
        found = f"is {stated[:16]!a}, not HU: these are not Hounsfield units"
        raise raw.refusal(RefusalCode.NOT_HOUNSFIELD, "RescaleType", found)
    kinds = {value.strip().upper() for value in raw.text("ImageType").split("\\")}
    other = sorted(kinds & _OTHER_QUANTITIES)
    if other and stated.upper() != HOUNSFIELD:
        found = f"says {other[0]}: these are not Hounsfield units"
        raise raw.refusal(RefusalCode.NOT_HOUNSFIELD, "ImageType", found)
    if stated and stated.upper() != HOUNSFIELD:
        return f"Rescale Type (0028,1054) is {stated[:16]!a}; the values are taken for Hounsfield units"
    return ""

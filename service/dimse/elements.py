"""The ordinary elements of a dataset, which are nearly all of them: skipped in one tight loop."""

import struct

SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY, SERIES = 0x00080016, 0x00080018, 0x00080060, 0x0020000D, 0x0020000E
WANTED = frozenset({SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY, SERIES})
PATIENT_ID = 0x00100020
UNDEFINED = 0xFFFFFFFF
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())

_NOT_SKIMMED = WANTED | {PATIENT_ID}
_EXPLICIT_HEADER, _IMPLICIT_HEADER = struct.Struct("<HH2sH"), struct.Struct("<HHL")


def past_explicit(data: memoryview, at: int, kept: dict[int, str] | None) -> int:
    """Skip little endian elements with a short explicit VR, keeping the wanted ones.

    Return the position of the first element that is in any way unusual; the last may end beyond ``data``.
    """
    last = len(data) - 8
    read, short, wanted = _EXPLICIT_HEADER.unpack_from, SHORT_VRS, _NOT_SKIMMED
    while at <= last:
        group, element, vr, length = read(data, at)
        if vr not in short or group < 3 or group == 0xFFFE:
            return at
        tag = group << 16 | element
        if tag in wanted and not _is_kept(data, at, tag, length, kept):
            return at
        at += 8 + length
    return at


def past_implicit(data: memoryview, at: int, kept: dict[int, str] | None) -> int:
    """Do the same for elements of known length in implicit VR."""
    last = len(data) - 8
    read, wanted = _IMPLICIT_HEADER.unpack_from, _NOT_SKIMMED
    while at <= last:
        group, element, length = read(data, at)
        if length == UNDEFINED or group < 3 or group == 0xFFFE:
            return at
        tag = group << 16 | element
        if tag in wanted and not _is_kept(data, at, tag, length, kept):
            return at
        at += 8 + length
    return at


def _is_kept(data: memoryview, at: int, tag: int, length: int, kept: dict[int, str] | None) -> bool:
    """Keep the value of a wanted element; False if it needs a closer look."""
    if kept is None or tag == PATIENT_ID or length > 64 or at + 8 + length > len(data):
        return False
    value = bytes(data[at + 8 : at + 8 + length])
    if not value.isascii():
        return False
    text = value.decode("ascii").strip("\0 ")
    return kept.setdefault(tag, text) == text


def text(tag: int) -> str:
    """Return a tag as people write it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"

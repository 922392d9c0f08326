"""The ways to encode a hole in a polygon."""

from enum import StrEnum


class HoleEncoding(StrEnum):
    """How polygons state that a part has holes; the even-odd rule reads each of them the same."""

    KEYHOLE = "keyhole"
    XOR = "xor"
    NESTED = "nested"

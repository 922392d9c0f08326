"""The ways to put a hole into a polygon."""

from enum import StrEnum


class HoleEncoding(StrEnum):
    """How polygons say that a part has holes; each is read back alike by the even-odd rule."""

    KEYHOLE = "keyhole"
    XOR = "xor"
    NESTED = "nested"

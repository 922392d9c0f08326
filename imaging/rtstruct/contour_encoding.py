"""ROI Contour Sequence (3006,0039) encoded directly as bytes.

pydicom makes a decimal-string object of every coordinate that it writes: seconds and a gigabyte for forty structures.
Here a coordinate that recurs (they lie on the CT's lattice) is turned into text only once.
"""

import struct
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.contours.exact import PlanarContour
from imaging.ct.series import SliceReference
from imaging.errors import StructureSetNotWritable
from imaging.volumes.grid import Grid

MAX_DS_BYTES = 16  # PS3.5 6.2, VR DS
_LONGEST_SHORT_VALUE = 0xFFFE
_AXIAL_TOLERANCE = 1e-6
Encode = Callable[[int, bytes, bytes], bytes]
"""Encodes an element from its tag, VR letters and value."""


def implicit_element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Return an element in Implicit VR Little Endian, padded to an even length."""
    value = _padded(vr, value)
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def explicit_element(tag: int, vr: bytes, value: bytes) -> bytes:
    """Return an element in Explicit VR Little Endian.

    Raises StructureSetNotWritable where the value is too long for a 2-byte length.
    """
    value = _padded(vr, value)
    if vr == b"SQ":
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    if len(value) > _LONGEST_SHORT_VALUE:
        tag_text = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
        found = f"a value of {len(value)} bytes for {tag_text} {vr.decode()} does not fit into Explicit VR"
        raise StructureSetNotWritable(
            f"{found}; write Implicit VR Little Endian, or fewer points or decimals"
        )
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def item(content: bytes) -> bytes:
    """Return a sequence item of defined length."""
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


class ContourEncoder:
    """Encodes the polygons of one ROI after another, all on the slices of the same CT."""

    def __init__(self, slices: Sequence[SliceReference], grid: Grid, encode: Encode, decimals: int) -> None:
        """Prepare what all contours of a slice share: the image reference, and z as the image states it."""
        self._encode, self._decimals, self._grid = encode, decimals, grid
        self._references = [encode(0x30060016, b"SQ", item(_image(encode, image))) for image in slices]
        axial = np.allclose(np.abs(grid.axes_lps[0]), (0, 0, 1), rtol=0, atol=_AXIAL_TOLERANCE)
        texts = [image.position[2].encode() for image in slices]
        self._own_z = texts if axial and max(map(len, texts)) <= MAX_DS_BYTES else None

    def roi(self, number: int, colour_rgb: tuple[int, int, int], contours: Sequence[PlanarContour]) -> bytes:
        """Return one item of the sequence: the display colour, any contours, and the ROI's number."""
        encode, parts = self._encode, [self._encode(0x3006002A, b"IS", b"%d\\%d\\%d" % colour_rgb)]
        if contours:
            parts.append(encode(0x30060040, b"SQ", b"".join(self._contours(contours))))
        parts.append(encode(0x30060084, b"IS", b"%d" % number))
        return item(b"".join(parts))

    def _contours(self, contours: Sequence[PlanarContour]) -> list[bytes]:
        points = np.concatenate([contour.points_lps for contour in contours])
        texts: list[bytes] = [b""] * points.size
        texts[0::3] = decimal_strings(points[:, 0], self._decimals)
        texts[1::3] = decimal_strings(points[:, 1], self._decimals)
        if self._own_z is None:
            texts[2::3] = decimal_strings(points[:, 2], self._decimals)
        else:
            counts = [len(contour.points_lps) for contour in contours]
            own = np.array([self._own_z[contour.slice_index] for contour in contours], object)
            texts[2::3] = np.repeat(own, counts).tolist()
        encode, encoded, start = self._encode, [], 0
        for number, contour in enumerate(contours, 1):
            count = len(contour.points_lps)
            end = start + 3 * count
            encoded.append(
                item(
                    self._references[contour.slice_index]
                    + encode(0x30060042, b"CS", contour.geometric_type.value.encode())
                    + encode(0x30060046, b"IS", b"%d" % count)
                    + encode(0x30060048, b"IS", b"%d" % number)
                    + encode(0x30060050, b"DS", b"\\".join(texts[start:end]))
                )
            )
            start = end
        return encoded


def decimal_strings(values: NDArray[np.float64], decimals: int) -> list[bytes]:
    """Return each value as a decimal string of at most `decimals` decimals and 16 bytes, without trailing zeros.

    Raises StructureSetNotWritable where a value is not finite or too large for 16 bytes.
    """
    scaled = np.rint(values * 10.0**decimals)
    if not (np.abs(scaled) < 1e18).all():  # nor is nan
        raise StructureSetNotWritable("a contour has a coordinate that is not finite, or beyond all measure")
    unique, inverse = np.unique(scaled.astype(np.int64), return_inverse=True)
    texts = np.empty(len(unique), object)
    texts[:] = [_decimal_string(value, decimals) for value in unique.tolist()]
    if texts.size and max(map(len, texts)) > MAX_DS_BYTES:
        longest = max(texts, key=len).decode()
        raise StructureSetNotWritable(f"coordinate {longest} mm is longer than {MAX_DS_BYTES} bytes")
    return list(texts[inverse].tolist())


def _decimal_string(scaled: int, decimals: int) -> bytes:
    whole, fraction = divmod(abs(scaled), 10**decimals)
    digits = f"{fraction:0{decimals}d}".rstrip("0") if fraction else ""
    return f"{'-' if scaled < 0 else ''}{whole}{'.' if digits else ''}{digits}".encode()


def _image(encode: Encode, image: SliceReference) -> bytes:
    class_uid = encode(0x00081150, b"UI", image.sop_class_uid.encode())
    return class_uid + encode(0x00081155, b"UI", image.sop_instance_uid.encode())


def _padded(vr: bytes, value: bytes) -> bytes:
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr == b"UI" else b" ")

"""The frames of a segmentation: which there are, where each lies, and their pixels, one bit each.

highdicom wants all segments as one array of the whole grid: 2 GB for forty structures on 512 x 512 x 200. Here a frame
is unpacked from its structure's crop, packed and released.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from imaging.ct.series import SliceReference
from imaging.outputs.concepts import SEGMENTATION, SOURCE_IMAGE
from imaging.rtstruct.contour_encoding import explicit_element, item
from imaging.structures import Code
from imaging.volumes.volume import Mask

_MAX_DS_CHARACTERS = 16


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One slice of one segment: the segment's number, counted from 1, and the slice's index."""

    segment: int
    slice_index: int


def frames_of(masks: Sequence[Mask]) -> list[Frame]:
    """Return every slice of every mask that has a voxel, segment by segment, slices in index order."""
    return [
        Frame(segment=number, slice_index=mask.start_zyx[0] + int(z))
        for number, mask in enumerate(masks, 1)
        for z in np.flatnonzero(mask.crop_zyx.any(axis=(1, 2)))
    ]


def packed(masks: Sequence[Mask], frames: Sequence[Frame], shape_yx: tuple[int, int]) -> Iterator[bytes]:
    """Yield these frames' Pixel Data in pieces: a bit per pixel, lowest first, no gap between frames (PS3.5 8.1.1)."""
    rest = np.zeros(0, np.bool_)
    for frame in frames:
        mask = masks[frame.segment - 1]
        _, y, x = mask.start_zyx
        _, rows, columns = mask.crop_zyx.shape
        plane = np.zeros(shape_yx, np.bool_)
        plane[y : y + rows, x : x + columns] = mask.crop_zyx[frame.slice_index - mask.start_zyx[0]]
        bits = np.concatenate((rest, plane.reshape(-1))) if len(rest) else plane.reshape(-1)
        whole = len(bits) - len(bits) % 8
        rest = bits[whole:]
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
    if len(rest):
        yield np.packbits(rest, bitorder="little").tobytes()


def functional_groups(frames: Sequence[Frame], slices: Sequence[SliceReference]) -> bytes:
    """Return the items of Per-Frame Functional Groups Sequence (5200,9230), Explicit VR Little Endian.

    Each frame names its image, its position, its segment, and its indices: segment, then position among those used.
    """
    rank = {z: place for place, z in enumerate(sorted({frame.slice_index for frame in frames}), 1)}
    derived = {z: _derivation(slices[z]) for z in rank}
    placed = {z: _plane_position(slices[z]) for z in rank}
    parts = []
    for frame in frames:
        indices = struct.pack("<LL", frame.segment, rank[frame.slice_index])
        content = derived[frame.slice_index]
        content += _sequence(0x00209111, explicit_element(0x00209157, b"UL", indices))
        content += placed[frame.slice_index]
        content += _sequence(
            0x0062000A, explicit_element(0x0062000B, b"US", struct.pack("<H", frame.segment))
        )
        parts.append(item(content))
    return b"".join(parts)


def decimal_text(text: str) -> str:
    """Return a decimal string as the CT wrote it, shortened where it exceeds the 16 characters of VR DS."""
    text = text.strip()
    if len(text) <= _MAX_DS_CHARACTERS:
        return text
    for digits in range(14, 0, -1):
        short = f"{float(text):.{digits}g}"
        if len(short) <= _MAX_DS_CHARACTERS:
            return short
    raise ValueError(f"{text} is no decimal number that 16 characters hold")


def _derivation(image: SliceReference) -> bytes:
    source = explicit_element(0x00081150, b"UI", image.sop_class_uid.encode())
    source += explicit_element(0x00081155, b"UI", image.sop_instance_uid.encode())
    source += explicit_element(0x0028135A, b"CS", b"YES")  # Spatial Locations Preserved
    source += _sequence(0x0040A170, _coded(SOURCE_IMAGE))
    return _sequence(0x00089124, _sequence(0x00082112, source) + _sequence(0x00089215, _coded(SEGMENTATION)))


def _plane_position(image: SliceReference) -> bytes:
    position = "\\".join(decimal_text(text) for text in image.position)
    return _sequence(0x00209113, explicit_element(0x00200032, b"DS", position.encode()))


def _coded(code: Code) -> bytes:
    value = explicit_element(0x00080100, b"SH", code.value.encode())
    scheme = explicit_element(0x00080102, b"SH", code.scheme.encode())
    return value + scheme + explicit_element(0x00080104, b"LO", code.meaning.encode())


def _sequence(tag: int, content: bytes) -> bytes:
    return explicit_element(tag, b"SQ", item(content))

"""ROI Contour Sequence (3006,0039) read from bytes, without an object for every coordinate."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.contours.structure_set import GeometricType, ReadContour
from imaging.dicom.decimals import decimal_numbers
from imaging.dicom.elements import Element, Encoding, MalformedStream, Stream, elements, end_of, inside, items
from imaging.rtstruct.roi_numbers import whole_number

ROI_CONTOURS = 0x30060039
_COLOUR, _CONTOURS, _NUMBER = 0x3006002A, 0x30060040, 0x30060084
_IMAGES, _TYPE, _DATA, _IMAGE_UID = 0x30060016, 0x30060042, 0x30060050, 0x00081155


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiItem:
    """One item of the sequence: the number of its ROI and its colour, if it has them, and its contours.

    `fault` says which contour cannot be read; the item has no contours then.
    """

    number: int | None
    colour_rgb: tuple[int, int, int] | None
    contours: tuple[ReadContour, ...]
    fault: str = ""


class _OddContour(ValueError):
    """A contour that cannot be read; the message says why."""


def split_contours(stream: Stream) -> tuple[bytes, list[RoiItem]]:
    """Return the dataset's bytes without ROI Contour Sequence, and the items of that sequence; [] where it is absent.

    Raises MalformedStream where bytes are missing.
    """
    data, encoding, end = stream.data, stream.encoding, len(stream.data)
    last = stream.start
    found: Element | None = None
    for element in elements(data, stream.start, end, encoding):
        stop = end_of(data, element, end, encoding)
        if stop > end:
            raise MalformedStream(f"element ({element.tag >> 16:04X},{element.tag & 0xFFFF:04X}) is cut off")
        found = element if element.tag == ROI_CONTOURS else found
        last = stop
    if found is None:
        return data[stream.start : last], []
    stop = end_of(data, found, end, encoding)
    head = found.start - (12 if encoding.explicit else 8)
    rest = data[stream.start : head] + data[stop:last]
    return rest, list(_roi_items(data, found, stop, inside(found.vr, encoding)))


def _roi_items(data: bytes, sequence: Element, end: int, encoding: Encoding) -> Iterator[RoiItem]:
    for start, stop in items(data, sequence, end, encoding):
        parts = {element.tag: element for element in elements(data, start, stop, encoding)}
        number = whole_number(_value(data, parts, _NUMBER, stop).decode("ascii", "replace"))
        colour = _value(data, parts, _COLOUR, stop)
        levels = tuple(int(v) for v in colour.split(b"\\") if v.strip().isdigit())
        found = parts.get(_CONTOURS)
        contours: tuple[ReadContour, ...] = ()
        fault = ""
        try:
            contours = _contours(data, found, stop, encoding) if found else ()
        except _OddContour as error:
            fault = str(error)
        rgb = (levels[0], levels[1], levels[2]) if len(levels) == 3 else None
        yield RoiItem(number=number, colour_rgb=rgb, contours=contours, fault=fault)


def _contours(data: bytes, sequence: Element, end: int, encoding: Encoding) -> tuple[ReadContour, ...]:
    encoding = inside(sequence.vr, encoding)
    types: list[GeometricType] = []
    images: list[str] = []
    texts: list[bytes] = []
    for start, stop in items(data, sequence, end, encoding):
        parts = {element.tag: element for element in elements(data, start, stop, encoding)}
        types.append(_geometric_type(_value(data, parts, _TYPE, stop), len(types) + 1))
        images.append(_image_uid(data, parts.get(_IMAGES), stop, encoding))
        texts.append(_value(data, parts, _DATA, stop).rstrip(b" \0"))
    return tuple(
        ReadContour(geometric_type=kind, points_lps=points, image_uid=image)
        for kind, points, image in zip(types, _points(texts), images, strict=True)
    )


def _points(texts: list[bytes]) -> Iterator[NDArray[np.float64]]:
    """Yield the points (n, 3) of each contour's text; all texts of an ROI are parsed at once."""
    counts = [text.count(b"\\") + 1 if text else 0 for text in texts]
    wrong = next((k for k, count in enumerate(counts) if count % 3), None)
    if wrong is not None:
        found = f"contour {wrong + 1} has {counts[wrong]} coordinates, no multiple of 3"
        raise _OddContour(f"Contour Data (3006,0050): {found}")
    values = _numbers(b"\\".join(text for text in texts if text))
    if values is None:
        odd = next(k for k, text in enumerate(texts, 1) if _numbers(text) is None)
        raise _OddContour(f"Contour Data (3006,0050): a coordinate of contour {odd} is no decimal number")
    points, start = values.reshape(-1, 3), 0
    for count in counts:
        yield points[start : start + count // 3]
        start += count // 3


def _numbers(text: bytes) -> NDArray[np.float64] | None:
    """Return a text's numbers; None where any value is not a finite number."""
    try:
        values = decimal_numbers(text)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _geometric_type(value: bytes, contour: int) -> GeometricType:
    text = value.decode("ascii", "replace").strip(" \0")
    try:
        return GeometricType(text)
    except ValueError as error:
        found = f"contour {contour} has type '{text}'"
        raise _OddContour(f"Contour Geometric Type (3006,0042): {found}") from error


def _image_uid(data: bytes, sequence: Element | None, end: int, encoding: Encoding) -> str:
    if sequence is None:
        return ""
    for start, stop in items(data, sequence, end, inside(sequence.vr, encoding)):
        for element in elements(data, start, stop, inside(sequence.vr, encoding)):
            if element.tag == _IMAGE_UID:
                return (
                    data[element.start : element.start + element.length]
                    .decode("ascii", "replace")
                    .strip(" \0")
                )
    return ""


def _value(data: bytes, parts: dict[int, Element], tag: int, end: int) -> bytes:
    element = parts.get(tag)
    if element is None:
        return b""
    if element.start + element.length > end:
        raise MalformedStream(f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) runs out of its item")
    return data[element.start : element.start + element.length]

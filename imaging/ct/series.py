"""CT slices, as files in any order, to one HU volume in patient coordinates; or a refusal that says why."""

from collections.abc import Collection, Iterable, MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from imaging.ct.gaps import numbering_doubt
from imaging.ct.headers import SliceHeader, check_kind, header_of, parse_header
from imaging.ct.identity import check_one_patient
from imaging.ct.image_kinds import is_beside, set_aside
from imaging.ct.padding import padding_notes
from imaging.ct.pixel_format import pixel_format
from imaging.ct.pixels import read_hu, require_pixels
from imaging.ct.raw_slice import RawSlice, read_raw
from imaging.ct.stack import Stack, check_stack
from imaging.ct.units import UNSPECIFIED, check_units
from imaging.dicom.elements import UNDEFINED, elements
from imaging.volumes.volume import Volume

__all__ = [
    "CtSeries",
    "SliceHeader",
    "SliceReference",
    "SourceFile",
    "Stack",
    "check_stack",
    "parse_header",
    "read_ct",
]


_PIXEL_DATA, _FIRST_GROUP = 0x7FE00010, 0x00030000


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One received object: a name for messages about it (no patient data), and its Part 10 bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class SliceReference:
    """What a structure set needs to point at one image: its UIDs and its ImagePositionPatient, verbatim."""

    sop_class_uid: str
    sop_instance_uid: str
    position: tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class SeriesCheck:
    """A series that can be placed in the patient: its slices, what is set aside, a doubt that the numbering casts, and notes."""

    slice_count: int
    set_aside: tuple[str, ...]
    doubt: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class CtSeries:
    """One CT series: the volume, a reference for each slice in index order, and one slice's header.

    `header` is the dataset of the first slice without pixels. Read it, but do not change it: a structure set
    copies the patient's and study's values from it byte for byte.
    """

    volume: Volume
    slices: tuple[SliceReference, ...]
    header: Dataset
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    patient_position: str
    set_aside: tuple[
        str, ...
    ] = ()  # SOP Instance UIDs of localizers and screen pages, in the series but not in the volume
    notes: tuple[str, ...] = ()  # what was made of pixels that are padding


def read_ct(files: Sequence[SourceFile], rescale_types: Collection[str] = (UNSPECIFIED,)) -> CtSeries:
    """Return the volume of one axial CT series, whatever the order of its files; ImageRefused for anything else.

    HU as int16 (z, y, x): each slice with its own rescale, pixel padding as -1000 HU. Slices are sorted along the
    normal of the images; `imaging.ct.stack` says how exactly they must lie. `rescale_types` are those taken for HU.
    """
    everything = [read_raw(file.data, file.name) for file in files]
    raws = [raw for raw in everything if not is_beside(raw)]
    headers = [_image_header(raw) for raw in raws]
    for raw in raws:
        check_units(raw, rescale_types)
    aside = set_aside([raw for raw in everything if is_beside(raw)], headers)
    check_one_patient(headers)
    stack = check_stack(headers)
    array = np.empty(stack.grid.shape_zyx, np.int16)
    padded = [read_hu(raws[source], array[index]) for index, source in enumerate(stack.order)]
    first = headers[stack.order[0]]
    return CtSeries(
        volume=Volume(array_zyx=array, grid=stack.grid),
        slices=tuple(reference_to(headers[source]) for source in stack.order),
        header=plain_attributes(raws[stack.order[0]]),
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        patient_position=first.patient_position,
        set_aside=aside,
        notes=padding_notes(padded),
    )


def check_series(files: Iterable[SourceFile], rescale_types: Collection[str] = (UNSPECIFIED,)) -> SeriesCheck:
    """Whether files make one axial CT series, without decoding a pixel; ImageRefused says why not.

    The files may end before their pixels, and are let go one by one.
    """
    headers: list[SliceHeader] = []
    beside: list[RawSlice] = []
    units: list[str] = []
    for file in files:
        raw = read_raw(file.data, file.name)
        if is_beside(raw):
            beside.append(raw)
        else:
            check_kind(raw)
            units.append(check_units(raw, rescale_types))
            headers.append(header_of(raw))
            pixel_format(raw)
    aside = set_aside(beside, headers)
    alike = check_one_patient(headers)
    stack = check_stack(headers)
    return SeriesCheck(
        slice_count=len(headers),
        set_aside=aside,
        doubt=numbering_doubt(headers),
        notes=_notes(units, alike, stack.notes),
    )


def same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two image files hold the same pixels in the same encoding, bit by bit."""
    pixels = [_stored_pixels(read_raw(data, "")) for data in (one, other)]
    return bool(pixels[0]) and pixels[0] == pixels[1]


def _stored_pixels(raw: RawSlice) -> bytes:
    if raw.pixels is None:
        return b""
    return bytes(raw.stream.data[raw.pixels.start :])


def _notes(*found: Iterable[str]) -> tuple[str, ...]:
    """Every note once."""
    return tuple(dict.fromkeys(note for notes in found for note in notes if note))


def _image_header(raw: RawSlice) -> SliceHeader:
    check_kind(raw)
    require_pixels(raw)
    return header_of(raw)


def plain_attributes(raw: RawSlice) -> Dataset:
    """Return the plain attributes of an image, undecoded, without its sequences and pixels.

    The same walk reads them as finds the pixels: other parsers stop at what some systems write (a VR of two spaces,
    elements behind the pixels).
    """
    stream = raw.stream
    found: MutableMapping[BaseTag, DataElement | RawDataElement] = {}
    for one in elements(stream.data, stream.start, len(stream.data), stream.encoding):
        stop = one.start + one.length
        if one.length == UNDEFINED or one.vr == b"SQ" or one.tag == _PIXEL_DATA or one.tag < _FIRST_GROUP:
            continue
        vr = one.vr.decode("ascii") if one.vr.isalpha() and one.vr.isupper() else None
        is_implicit, is_little = not stream.encoding.explicit, stream.encoding.little
        value = stream.data[one.start : stop]
        tag = BaseTag(one.tag)
        found[tag] = RawDataElement(tag, vr, len(value), value, one.start, is_implicit, is_little)
    return Dataset(found)


def reference_to(header: SliceHeader) -> SliceReference:
    """Return what a structure set needs to point at an image."""
    return SliceReference(
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        position=header.position,
    )

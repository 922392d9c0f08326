"""CT or MR slices, as files in any order, to one volume in patient coordinates; or a refusal that says why."""

from collections.abc import Callable, Collection, Iterable, MutableMapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from imaging.ct.gaps import numbering_doubt
from imaging.ct.headers import (
    CT_IMAGES,
    MR_IMAGES,
    ImageClass,
    SliceHeader,
    check_kind,
    header_of,
    image_class,
    parse_header,
)
from imaging.ct.identity import check_one_patient
from imaging.ct.image_kinds import is_beside, modality_of, set_aside
from imaging.ct.padding import padding_notes
from imaging.ct.pixel_format import Rescale, hounsfield_rescale, pixel_format
from imaging.ct.pixels import read_hu, require_pixels
from imaging.ct.raw_slice import RawSlice, read_raw
from imaging.ct.stack import CT_STACK, Stack, StackRules, check_stack
from imaging.ct.units import UNSPECIFIED, check_units
from imaging.dicom.elements import UNDEFINED, elements
from imaging.modality import Modality
from imaging.mr.signal import blank_padding, read_signal, signal_rescale
from imaging.mr.volumes import MR_STACK
from imaging.volumes.volume import Volume, Voxels

__all__ = [
    "ImageSeries",
    "SliceHeader",
    "SliceReference",
    "SourceFile",
    "Stack",
    "check_stack",
    "parse_header",
    "read_ct",
    "read_images",
]


_PIXEL_DATA, _FIRST_GROUP = 0x7FE00010, 0x00030000


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One received object: a name for messages about it (no patient data), and its Part 10 bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class SliceReference:
    """What a structure set needs to refer to one image: its UIDs and its ImagePositionPatient, verbatim."""

    sop_class_uid: str
    sop_instance_uid: str
    position: tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class SeriesCheck:
    """A series that can be placed in the patient.

    How many slices it has, what is set aside, what the numbering makes doubtful ("" if nothing), and notes.
    """

    slice_count: int
    set_aside: tuple[str, ...]
    doubt: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSeries:
    """One CT or MR series: the volume, a reference to each slice in index order, and one slice's header.

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
    modality: Modality = Modality.CT
    set_aside: tuple[
        str, ...
    ] = ()  # SOP Instance UIDs of localizers and screen pages, in the series but not in the volume
    notes: tuple[str, ...] = ()  # how pixels that are padding were handled


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """How the images of one kind are read: their scale, the checks of their units and stack, and their voxels."""

    images: ImageClass
    rescale_of: Callable[[RawSlice], Rescale]
    units: Callable[[RawSlice, Collection[str]], str]
    rules: StackRules
    voxels: Callable[[Sequence[RawSlice], tuple[int, int, int]], tuple[Voxels, tuple[str, ...]]]


def read_ct(files: Sequence[SourceFile], rescale_types: Collection[str] = (UNSPECIFIED,)) -> ImageSeries:
    """Return the volume of one axial CT series, whatever the order of its files; ImageRefused for anything else.

    HU as int16 (z, y, x): each slice with its own rescale, pixel padding as -1000 HU. Slices are sorted along the
    normal of the images; `imaging.ct.stack` says how exactly they must lie. `rescale_types` are the Rescale Types
    accepted as HU.
    """
    return _read([read_raw(file.data, file.name) for file in files], _CT, rescale_types)


def read_images(files: Sequence[SourceFile], rescale_types: Collection[str] = (UNSPECIFIED,)) -> ImageSeries:
    """Return the volume of one CT series as `read_ct` does, or of one MR series: float32 signal, in any planes.

    `imaging.mr.volumes` says what makes one volume of MR, `imaging.mr.signal` what its values are. Raises ImageRefused
    for anything else.
    """
    everything = [read_raw(file.data, file.name) for file in files]
    return _read(everything, _reading(everything), rescale_types)


def _read(everything: Sequence[RawSlice], how: _Reading, rescale_types: Collection[str]) -> ImageSeries:
    raws = [raw for raw in everything if not is_beside(raw)]
    headers = [_image_header(raw, how.images) for raw in raws]
    for raw in raws:
        how.units(raw, rescale_types)
    aside = set_aside([raw for raw in everything if is_beside(raw)], headers)
    check_one_patient(headers)
    stack = check_stack(headers, how.rules)
    array, notes = how.voxels([raws[source] for source in stack.order], stack.grid.shape_zyx)
    first = headers[stack.order[0]]
    return ImageSeries(
        volume=Volume(array_zyx=array, grid=stack.grid),
        slices=tuple(reference_to(headers[source]) for source in stack.order),
        header=plain_attributes(raws[stack.order[0]]),
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        patient_position=first.patient_position,
        modality=modality_of(raws[stack.order[0]]),
        set_aside=aside,
        notes=notes,
    )


def _hounsfield_units(
    ordered: Sequence[RawSlice], shape_zyx: tuple[int, int, int]
) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    array = np.empty(shape_zyx, np.int16)
    padded = [read_hu(raw, array[index]) for index, raw in enumerate(ordered)]
    return array, padding_notes(padded)


def _signal(
    ordered: Sequence[RawSlice], shape_zyx: tuple[int, int, int]
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    array = np.empty(shape_zyx, np.float32)
    padding = [read_signal(raw, array[index]) for index, raw in enumerate(ordered)]
    return array, blank_padding(array, padding)


_CT = _Reading(
    images=CT_IMAGES,
    rescale_of=hounsfield_rescale,
    units=check_units,
    rules=CT_STACK,
    voxels=_hounsfield_units,
)
_MR = _Reading(
    images=MR_IMAGES,
    rescale_of=signal_rescale,
    units=lambda _raw, _types: "",
    rules=MR_STACK,
    voxels=_signal,
)


def _reading(everything: Sequence[RawSlice]) -> _Reading:
    """Return how to read the series that these images belong to."""
    return _MR if everything and image_class(everything[0]) is MR_IMAGES else _CT


def check_series(files: Iterable[SourceFile], rescale_types: Collection[str] = (UNSPECIFIED,)) -> SeriesCheck:
    """Check that files make one axial CT series or one MR series, without decoding a pixel; ImageRefused if not.

    The files may end before their pixels, and are released one by one.
    """
    headers: list[SliceHeader] = []
    beside: list[RawSlice] = []
    units: list[str] = []
    how = _CT
    for index, file in enumerate(files):
        raw = read_raw(file.data, file.name)
        how = how if index else _reading([raw])
        if is_beside(raw):
            beside.append(raw)
        else:
            check_kind(raw, how.images)
            units.append(how.units(raw, rescale_types))
            headers.append(header_of(raw))
            pixel_format(raw, how.rescale_of)
    aside = set_aside(beside, headers)
    alike = check_one_patient(headers)
    stack = check_stack(headers, how.rules)
    return SeriesCheck(
        slice_count=len(headers),
        set_aside=aside,
        doubt=numbering_doubt(headers),
        notes=_notes(units, alike, stack.notes),
    )


def same_pixels(one: bytes, other: bytes) -> bool:
    """Tell whether two image files hold the same pixels in the same encoding, bit by bit."""
    pixels = [_stored_pixels(read_raw(data, "")) for data in (one, other)]
    return bool(pixels[0]) and pixels[0] == pixels[1]


def _stored_pixels(raw: RawSlice) -> bytes:
    if raw.pixels is None:
        return b""
    return bytes(raw.stream.data[raw.pixels.start :])


def _notes(*found: Iterable[str]) -> tuple[str, ...]:
    """Return every note once, in order."""
    return tuple(dict.fromkeys(note for notes in found for note in notes if note))


def _image_header(raw: RawSlice, wanted: ImageClass) -> SliceHeader:
    check_kind(raw, wanted)
    require_pixels(raw)
    return header_of(raw)


def plain_attributes(raw: RawSlice) -> Dataset:
    """Return the plain attributes of an image, undecoded, without its sequences and pixels.

    The walk that finds the pixels also reads them: other parsers stop at what some systems write (a VR of two spaces,
    elements after the pixels).
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
    """Return what a structure set needs to refer to an image."""
    return SliceReference(
        sop_class_uid=header.sop_class_uid,
        sop_instance_uid=header.sop_instance_uid,
        position=header.position,
    )

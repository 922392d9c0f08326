"""One image object as it arrived: where its values lie, and readers that refuse what is missing or not a number."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.datadict import dictionary_description, tag_for_keyword

from imaging.dicom.elements import UNDEFINED, Element, MalformedStream, Stream, elements, open_stream
from imaging.dicom.patient_study import ALWAYS, WHERE_PRESENT
from imaging.errors import ImageRefused, RefusalCode

ACQUISITION = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
    "TriggerTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "IrradiationEventUID",
    "ConvolutionKernel",
    "FilterType",
    "ReconstructionAlgorithm",
    "KVP",
    "SliceThickness",
    "ReconstructionDiameter",
    "ContrastBolusAgent",
    "SeriesNumber",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
    "DerivationDescription",
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "RepetitionTime",
    "FlipAngle",
    "DiffusionBValue",
    "SequenceName",
)
"""Attributes that tell one acquisition, phase or reconstruction from another; none is needed to place a slice."""
_KEYWORDS = (
    "ImageType",
    "ConversionType",
    "BodyPartExamined",
    "SeriesDescription",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "GantryDetectorTilt",
    "PatientPosition",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "InstanceNumber",
    "FrameOfReferenceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "PixelData",
    *ALWAYS,
    *WHERE_PRESENT,
    "PositionReferenceIndicator",
    *ACQUISITION,
)
_KEYWORD_BY_TAG = {tag: keyword for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None}
_PIXEL_DATA = 0x7FE00010
_DOUBLES = frozenset(
    {"DiffusionBValue"}
)  # VR FD: kept as text, like the other attributes that tell volumes apart


@dataclass(frozen=True, kw_only=True, eq=False)
class RawSlice:
    """An image object: its stream, the values of the attributes used here, and where its pixels lie."""

    name: str
    stream: Stream
    values: Mapping[str, bytes]
    pixels: Element | None

    @property
    def called(self) -> str:
        """The object's name in a message: its SOP Instance UID, or the file's name where it has none."""
        uid = self.text("SOPInstanceUID")
        return f"image {uid}" if uid else f"file {self.name or '(unnamed)'}"

    def text(self, keyword: str) -> str:
        """Return the value without padding, or "" where the attribute is absent or empty."""
        return self.values.get(keyword, b"").decode("ascii", "replace").strip(" \0")

    def texts(self, keyword: str, count: int) -> tuple[str, ...]:
        """Return exactly `count` non-empty values; ImageRefused where there are others."""
        values = tuple(v.strip() for v in self.text(keyword).split("\\"))
        if values == ("",):
            raise self.refusal(RefusalCode.MISSING_ATTRIBUTE, keyword, "is missing")
        if len(values) != count or "" in values:
            raise self.refusal(
                RefusalCode.BAD_ATTRIBUTE, keyword, f"has {len(values)} values instead of {count}"
            )
        return values

    def numbers(self, keyword: str, count: int) -> tuple[float, ...]:
        """Return exactly `count` finite decimal values; ImageRefused where there are others."""
        texts = self.texts(keyword, count)
        try:
            values = tuple(float(v) for v in texts)
        except ValueError as error:
            raise self.refusal(RefusalCode.BAD_ATTRIBUTE, keyword, f"is no number: {texts!r}") from error
        if not all(math.isfinite(v) for v in values):
            raise self.refusal(RefusalCode.BAD_ATTRIBUTE, keyword, f"is no finite number: {texts!r}")
        return values

    def unsigned(self, keyword: str) -> int:
        """Return a 16-bit unsigned binary value; ImageRefused where it is absent."""
        value = self.values.get(keyword, b"")
        if len(value) < 2:
            raise self.refusal(RefusalCode.MISSING_ATTRIBUTE, keyword, "is missing")
        return int.from_bytes(value[:2], "little" if self.stream.encoding.little else "big")

    def refusal(self, code: RefusalCode, keyword: str, found: str) -> ImageRefused:
        """Return a refusal for one attribute of this object: tag, object, what was found, what to do."""
        return ImageRefused(
            code, f"{self.called}: {named(keyword)} {found}. Export the series again from its source."
        )


def named(keyword: str) -> str:
    """Return an attribute as people look it up: its name and (gggg,eeee)."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no DICOM keyword")
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _two_values(keyword: str, name: str) -> ImageRefused:
    found = f"{named(keyword)} is there twice, with two values"
    message = f"file {name or '(unnamed)'}: {found}. Export the series again from its source."
    return ImageRefused(RefusalCode.BAD_ATTRIBUTE, message)


def _decimal(value: bytes, *, little: bool) -> bytes:
    """Return a binary double as decimal text; anything else as it is."""
    if len(value) != 8:
        return value
    (number,) = struct.unpack("<d" if little else ">d", value)
    return f"{number:g}".encode("ascii")


def read_raw(data: bytes, name: str) -> RawSlice:
    """Return those attributes of an image file that are used here, undecoded; the bytes may end before the pixels.

    Raises ImageRefused where the bytes are not a DICOM object.
    """
    values: dict[str, bytes] = {}
    pixels: Element | None = None
    try:
        stream = open_stream(data)
        end = len(stream.data)
        for element in elements(stream.data, stream.start, end, stream.encoding):
            if element.tag == _PIXEL_DATA:
                pixels = element
                continue
            keyword = _KEYWORD_BY_TAG.get(element.tag)
            if keyword and element.length != UNDEFINED and element.start + element.length <= end:
                value = stream.data[element.start : element.start + element.length]
                if keyword in _DOUBLES:
                    value = _decimal(value, little=stream.encoding.little)
                if values.setdefault(keyword, value).rstrip(b" \0") != value.rstrip(b" \0"):
                    raise _two_values(keyword, name)
    except MalformedStream as error:
        message = f"file {name or '(unnamed)'} cannot be read as DICOM: {error}. Send the object again."
        raise ImageRefused(RefusalCode.UNREADABLE, message) from error
    return RawSlice(name=name, stream=stream, values=values, pixels=pixels)

"""What every object beside a structure set has in common: patient and study from the CT, series, time, equipment, file.

What describes patient and study comes from the CT as raw bytes, so that names in any alphabet stay as they are. Nothing
here asks a clock or makes a random UID.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import cast

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from imaging.beside.request import BesideRequest
from imaging.ct import SliceReference
from imaging.rtstruct_dataset import encodings_of
from imaging.uids import derived_uid

Elements = dict[BaseTag, DataElement | RawDataElement]

# Type 1 and 2 attributes of Patient and General Study: present, though perhaps empty.
_COPIED = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
)
_COPIED_WHERE_PRESENT = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "StudyDescription",
    "IssuerOfPatientID",
    "PatientAge",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_IMPLEMENTATION_UID = derived_uid("contour-node", "implementation class")
_IMPLEMENTATION_VERSION = "CONTOUR_NODE"
_ZONE_LENGTH = 5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of object: its name in UIDs, SOP class, modality, and how its series is called."""

    name: str
    sop_class_uid: str
    modality: str
    series_description: str


def begun(request: BesideRequest, kind: Kind, series_number: int) -> Dataset:
    """An object of this kind without patient, study and content: SOP Common, series, equipment and times."""
    dataset, producer = Dataset(), request.producer
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind.sop_class_uid, request.uid(kind.name)
    dataset.StudyInstanceUID = request.series.study_uid
    dataset.SeriesInstanceUID = request.uid(kind.name, "series")
    dataset.SeriesNumber, dataset.InstanceNumber = series_number, 1
    dataset.Modality, dataset.SeriesDescription = kind.modality, kind.series_description
    created = _wall_clock(request.created, request.series.header)
    date, time = created.strftime("%Y%m%d"), created.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.ContentDate, dataset.ContentTime = date, time
    dataset.Manufacturer = producer.manufacturer
    dataset.ManufacturerModelName = producer.model_name
    dataset.DeviceSerialNumber = request.device_serial_number
    dataset.SoftwareVersions = producer.software_version
    return dataset


def part10(request: BesideRequest, dataset: Dataset, extra: Elements | None = None) -> DicomBytesIO:
    """A complete Part 10 file, Explicit VR Little Endian, of the dataset and the CT's patient and study.

    `extra` are elements that replace the dataset's own. The buffer stands at its end, so that pixels can follow.
    """
    elements: Elements = {element.tag: element for element in dataset}
    elements.update(copied(request.series.header, _COPIED, even_if_absent=True))
    elements.update(copied(request.series.header, _COPIED_WHERE_PRESENT))
    elements.update(extra or {})
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, _meta(dataset))
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    encodings = encodings_of(request.series.header)
    for tag in sorted(elements):
        write_data_element(buffer, elements[tag], encodings)
    return buffer


def copied(header: Dataset, keywords: Iterable[str], *, even_if_absent: bool = False) -> Elements:
    """The CT's own values, byte for byte; with `even_if_absent` an attribute that the CT lacks is there, empty."""
    elements: Elements = {}
    for keyword in keywords:
        tag = Tag(keyword)
        if tag in header:
            elements[tag] = _verbatim(header, tag)
        elif even_if_absent:
            elements[tag] = DataElement(tag, dictionary_VR(tag), "")
    return elements


def lossiness(header: Dataset) -> Elements:
    """Lossy Image Compression (0028,2110) of what is derived from the CT, with ratio and method where it was lossy."""
    if str(header.get("LossyImageCompression", None) or "").strip() == "01":
        return copied(header, _LOSSY)
    return {Tag("LossyImageCompression"): DataElement(Tag("LossyImageCompression"), "CS", "00")}


def reference(image: SliceReference) -> Dataset:
    """An item that points at one image of the CT."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
    return item


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION_UID)
    meta.ImplementationVersionName = _IMPLEMENTATION_VERSION
    return meta


def _verbatim(header: Dataset, tag: BaseTag) -> DataElement | RawDataElement:
    found = cast(DataElement | RawDataElement, header.get_item(tag))
    if isinstance(found, RawDataElement):
        value = found.value or b""
        return found._replace(VR=dictionary_VR(tag), value=value, length=len(value))
    return found


def _wall_clock(created: datetime, header: Dataset) -> datetime:
    """The time in the zone that the CT states, or else as given (PS3.3 C.12.1.1.8)."""
    stated = str(header.get("TimezoneOffsetFromUTC", None) or "").strip()
    if len(stated) != _ZONE_LENGTH or stated[0] not in "+-" or not stated[1:].isdigit():
        return created
    offset = timedelta(hours=int(stated[1:3]), minutes=int(stated[3:]))
    return created.astimezone(timezone(-offset if stated[0] == "-" else offset))

"""What all companion objects have in common: patient and study from the CT, series, time, equipment, file.

The patient's and study's attributes are the CT's raw bytes, so that names in any alphabet stay as they are. Nothing
here reads a clock or makes a random UID.
"""

from dataclasses import dataclass

from pydicom import DataElement, Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from imaging.ct.series import SliceReference
from imaging.dicom.character_sets import codecs_for_writing
from imaging.dicom.patient_study import ALWAYS, WHERE_PRESENT, Elements, copied, wall_clock
from imaging.dicom.uids import derived_uid
from imaging.outputs.request import OutputsRequest

_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_IMPLEMENTATION_UID = derived_uid("contour-node", "implementation class")
_IMPLEMENTATION_VERSION = "CONTOUR_NODE"


@dataclass(frozen=True, kw_only=True)
class OutputKind:
    """One kind of object: its name in UIDs, SOP class, modality, and the description of its series."""

    name: str
    sop_class_uid: str
    modality: str
    series_description: str


def begun(request: OutputsRequest, kind: OutputKind, series_number: int) -> Dataset:
    """Return an object of this kind with SOP Common, series, equipment and times, but no patient, study or content."""
    dataset, producer = Dataset(), request.producer
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind.sop_class_uid, request.uid(kind.name)
    dataset.StudyInstanceUID = request.series.study_uid
    dataset.SeriesInstanceUID = request.uid(kind.name, "series")
    dataset.SeriesNumber, dataset.InstanceNumber = series_number, 1
    dataset.Modality, dataset.SeriesDescription = kind.modality, kind.series_description
    created = wall_clock(request.created, request.series.header)
    date, time = created.strftime("%Y%m%d"), created.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.ContentDate, dataset.ContentTime = date, time
    dataset.Manufacturer = producer.manufacturer
    dataset.ManufacturerModelName = producer.model_name
    dataset.DeviceSerialNumber = request.device_serial_number
    dataset.SoftwareVersions = producer.software_version
    return dataset


def part10(request: OutputsRequest, dataset: Dataset, extra: Elements | None = None) -> DicomBytesIO:
    """Return a complete Part 10 file, Explicit VR Little Endian, of the dataset with the CT's patient and study.

    `extra` are elements that replace the dataset's own. The buffer is positioned at its end, so that pixels can follow.
    """
    elements: Elements = {element.tag: element for element in dataset}
    elements.update(copied(request.series.header, ALWAYS, even_if_absent=True))
    elements.update(copied(request.series.header, WHERE_PRESENT))
    elements.update(extra or {})
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, _meta(dataset))
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    encodings = list(codecs_for_writing(request.series.header))
    for tag in sorted(elements):
        write_data_element(buffer, elements[tag], encodings)
    return buffer


def lossiness(header: Dataset) -> Elements:
    """Return Lossy Image Compression (0028,2110) for objects derived from the CT, with ratio and method where lossy."""
    if str(header.get("LossyImageCompression", None) or "").strip() == "01":
        return copied(header, _LOSSY)
    return {Tag("LossyImageCompression"): DataElement(Tag("LossyImageCompression"), "CS", "00")}


def reference(image: SliceReference) -> Dataset:
    """Return an item that refers to one image of the CT."""
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

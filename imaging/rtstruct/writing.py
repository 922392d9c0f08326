"""RT Structure Sets written: from polygons and references to the CT to a complete file."""

from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from imaging.contours.structure_set import GeometricType, ReadContour, Roi, StructureSet
from imaging.dicom.character_sets import codecs_for_writing
from imaging.dicom.patient_study import Elements
from imaging.dicom.uids import derived_uid
from imaging.rtstruct.contour_encoding import ContourEncoder, explicit_element, implicit_element
from imaging.rtstruct.dataset import check_characters, elements_of
from imaging.rtstruct.masks import RoiMasks, masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.rtstruct.request import Producer, RoiContours, StructureSetRequest, check_request, numbered

__all__ = [
    "GeometricType",
    "Producer",
    "ReadContour",
    "Roi",
    "RoiContours",
    "RoiMasks",
    "StructureSet",
    "StructureSetRequest",
    "masks_on_grid",
    "read_structure_set",
    "write_structure_set",
]

_IMPLEMENTATION_UID = derived_uid("contour-node", "implementation class")
_IMPLEMENTATION_VERSION = "CONTOUR_NODE"
_ROI_CONTOUR_SEQUENCE = Tag(0x3006, 0x0039)


def write_structure_set(request: StructureSetRequest) -> bytes:
    """Return a complete Part 10 file of an unapproved RT Structure Set; byte-identical for the same request.

    Implicit VR Little Endian, which allows contours of any length, unless `explicit_vr` is set. Each contour
    refers to its image, and has that image's own z where the slices are axial. Raises StructureSetNotWritable where no
    valid file can hold the request.
    """
    check_request(request)
    check_characters(request)
    contours = _contour_sequence(request)
    elements = elements_of(request)
    length = len(contours)
    elements[_ROI_CONTOUR_SEQUENCE] = RawDataElement(
        _ROI_CONTOUR_SEQUENCE, "SQ", length, contours, 0, not request.explicit_vr, True
    )
    return _file(request, elements)


def _contour_sequence(request: StructureSetRequest) -> bytes:
    encode = explicit_element if request.explicit_vr else implicit_element
    grid = request.series.volume.grid
    encoder = ContourEncoder(request.series.slices, grid, encode, request.decimals)
    return b"".join(
        encoder.roi(number, roi.structure.colour_rgb, roi.contours) for number, roi in numbered(request.rois)
    )


def _file(request: StructureSetRequest, elements: Elements) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = UID(request.sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if request.explicit_vr else ImplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION_UID)
    meta.ImplementationVersionName = _IMPLEMENTATION_VERSION
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, meta)
    buffer.is_little_endian, buffer.is_implicit_VR = True, not request.explicit_vr
    encodings = list(codecs_for_writing(request.series.header))
    for tag in sorted(elements):
        write_data_element(buffer, elements[tag], encodings)
    return buffer.getvalue()

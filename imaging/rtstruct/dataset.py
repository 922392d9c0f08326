"""All attributes of an RT Structure Set except the contours, as pydicom elements.

The modules of PS3.3 A.19: Patient, General Study, RT Series, Frame of Reference, General Equipment, Structure Set, RT
ROI Observations, Approval, SOP Common. The patient's and study's attributes are the CT's raw bytes, so that names
in any alphabet stay as they are.
"""

from collections.abc import Sequence

import numpy as np
from pydicom import Dataset
from pydicom.uid import RTStructureSetStorage

from imaging.contours.areas import area_vectors
from imaging.contours.exact import PlanarContour
from imaging.dicom.character_sets import character_set_of, is_encodable
from imaging.dicom.patient_study import ALWAYS, WHERE_PRESENT, Elements, copied, wall_clock
from imaging.errors import StructureSetNotWritable
from imaging.rtstruct.request import RoiContours, StructureSetRequest, described, numbered
from imaging.structures import Code

_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"  # retired, and what every system writes here
_AI_FAMILY = Code(value="123110", scheme="DCM", meaning="Artificial Intelligence")


def elements_of(request: StructureSetRequest) -> Elements:
    """Return all elements except ROI Contour Sequence, by tag.

    Raises StructureSetNotWritable where the CT's character set lacks a text's characters.
    """
    dataset = Dataset()
    _identify(dataset, request)
    _describe(dataset, request)
    dataset.ReferencedFrameOfReferenceSequence = [_frame(request)]
    dataset.StructureSetROISequence = [_roi(request, number, roi) for number, roi in numbered(request.rois)]
    dataset.RTROIObservationsSequence = [_observation(number, roi) for number, roi in numbered(request.rois)]
    dataset.ApprovalStatus = "UNAPPROVED"
    elements: Elements = {element.tag: element for element in dataset}
    elements.update(_from_ct(request.series.header))
    return elements


def check_characters(request: StructureSetRequest) -> None:
    """Check that every text of the request can be written in the CT's character set; StructureSetNotWritable if not."""
    header, producer = request.series.header, request.producer
    texts = [request.label, request.description, request.series_description, producer.manufacturer]
    texts += [
        producer.model_name,
        producer.software_version,
        producer.algorithm_name,
        producer.algorithm_version,
    ]
    texts += [text for roi in request.rois for text in (roi.name, roi.description)]
    for text in texts:
        if not is_encodable(text, header):
            charset = character_set_of(header)
            found = f"'{text}' cannot be written in the CT's Specific Character Set (0008,0005) {charset}"
            raise StructureSetNotWritable(f"{found}; choose a name in plain letters")


def _identify(dataset: Dataset, request: StructureSetRequest) -> None:
    dataset.SOPClassUID = RTStructureSetStorage
    dataset.SOPInstanceUID = request.sop_instance_uid
    dataset.StudyInstanceUID = request.series.study_uid
    dataset.SeriesInstanceUID = request.series_instance_uid
    dataset.FrameOfReferenceUID = request.series.frame_of_reference_uid
    dataset.Modality = "RTSTRUCT"
    dataset.SeriesNumber = request.series_number
    dataset.InstanceNumber = 1
    dataset.OperatorsName = ""


def _describe(dataset: Dataset, request: StructureSetRequest) -> None:
    created = wall_clock(request.created, request.series.header)
    date, time = created.strftime("%Y%m%d"), created.strftime("%H%M%S")
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = date, time
    dataset.SeriesDate, dataset.SeriesTime = date, time
    dataset.StructureSetDate, dataset.StructureSetTime = date, time
    dataset.SeriesDescription = request.series_description
    dataset.StructureSetLabel = request.label
    dataset.StructureSetDescription = described(request)
    if request.predecessor_uid:
        dataset.PredecessorStructureSetSequence = [_predecessor(request.predecessor_uid)]
    dataset.Manufacturer = request.producer.manufacturer
    dataset.ManufacturerModelName = request.producer.model_name
    dataset.SoftwareVersions = request.producer.software_version


def _predecessor(uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = RTStructureSetStorage
    reference.ReferencedSOPInstanceUID = uid
    return reference


def _frame(request: StructureSetRequest) -> Dataset:
    """Return the item of Referenced Frame of Reference Sequence, with every slice of the series in order."""
    images = []
    for image in request.series.slices:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.sop_class_uid
        reference.ReferencedSOPInstanceUID = image.sop_instance_uid
        images.append(reference)
    series = Dataset()
    series.SeriesInstanceUID = request.series.series_uid
    series.ContourImageSequence = images
    study = Dataset()
    study.ReferencedSOPClassUID = _DETACHED_STUDY
    study.ReferencedSOPInstanceUID = request.series.study_uid
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = request.series.frame_of_reference_uid
    frame.RTReferencedStudySequence = [study]
    return frame


def _roi(request: StructureSetRequest, number: int, roi: RoiContours) -> Dataset:
    producer = request.producer
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [_coded(_AI_FAMILY)]
    algorithm.AlgorithmName = producer.algorithm_name
    algorithm.AlgorithmVersion = producer.algorithm_version
    item = Dataset()
    item.ROINumber = number
    item.ReferencedFrameOfReferenceUID = request.series.frame_of_reference_uid
    item.ROIName = roi.name
    if roi.description:
        item.ROIDescription = roi.description
    if roi.contours:
        spacing_mm = request.series.volume.grid.spacing_zyx_mm[0]
        volume = volume_mm3(roi.contours, spacing_mm) if roi.volume_mm3 is None else roi.volume_mm3
        item.ROIVolume = f"{volume / 1000:.6g}"
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = producer.generation_description
    item.ROIDerivationAlgorithmIdentificationSequence = [algorithm]
    return item


def _observation(number: int, roi: RoiContours) -> Dataset:
    item = Dataset()
    item.ObservationNumber = number
    item.ReferencedROINumber = number
    if len(roi.name) <= 16:
        item.ROIObservationLabel = roi.name  # SH: truncated, it could lose its side
    if roi.structure.concept:
        item.RTROIIdentificationCodeSequence = [_coded(roi.structure.concept)]
    item.RTROIInterpretedType = roi.structure.interpreted_type.value
    item.ROIInterpreter = ""
    return item


def volume_mm3(contours: Sequence[PlanarContour], spacing_mm: float) -> float:
    """Return the area inside closed planar contours times the slice distance; holes joined by keyholes are excluded.

    Half the length of the sum of cross products of neighbouring points is a polygon's area; 0 for no contours.
    """
    vectors = area_vectors([contour.points_lps for contour in contours])
    return float(np.linalg.norm(vectors, axis=1).sum()) * spacing_mm


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def _from_ct(header: Dataset) -> Elements:
    """Return the attributes of Patient, General Study and Frame of Reference as the CT has them."""
    always = copied(header, (*ALWAYS, "PositionReferenceIndicator"), even_if_absent=True)
    return always | copied(header, WHERE_PRESENT)

"""A DICOM SR of the measurements: TID 1500 with a group for every structure looked for (PS3.16, PS3.3 A.35.2).

Enhanced SR is the smallest class that can hold it, and the one that most readers of TID 1500 support.
"""

from collections.abc import Sequence
from typing import Any

import highdicom as hd
from highdicom.sr import CodedConcept, ContainerContentItem, ContentSequence, TextContentItem
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import EnhancedSRStorage, SegmentationStorage

from imaging.modality import Modality
from imaging.outputs.concepts import (
    ABSENT,
    ARTIFICIAL_INTELLIGENCE,
    COMMENT,
    CT_OF_ANY_REGION,
    CUBIC_CENTIMETRE,
    ENGLISH,
    MAGNETIC_RESONANCE,
    MEAN_PROBABILITY,
    NO_UNITS,
    PRESENCE,
    QUALITATIVE_EVALUATIONS,
    VOLUME,
    coded,
    private_scheme,
    property_of,
)
from imaging.outputs.frames import frames_of
from imaging.outputs.instance import OutputKind, begun, part10, reference
from imaging.outputs.request import OutputsRequest, OutputsStructure, check_request
from imaging.outputs.segmentation import KIND as SEGMENTATION_KIND
from imaging.structures import Code

KIND = OutputKind(
    name="report",
    sop_class_uid=EnhancedSRStorage,
    modality="SR",
    series_description="Contour Node report, UNAPPROVED",
)
Group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations | hd.sr.MeasurementsAndQualitativeEvaluations
SourceImage = hd.sr.SourceImageForMeasurementGroup


def make_report(request: OutputsRequest, *, cites_segmentation: bool) -> bytes:
    """Return a Part 10 file of an unverified, preliminary Measurement Report; the same request gives the same bytes.

    Each structure found has its volume and the model's mean probability, one not found is stated as absent, and the
    notes are comments. With `cites_segmentation`, the groups refer to the segments of `make_segmentation`'s file for
    the same request, else at the images. Raises OutputsNotWritable where no valid file can hold the request.
    """
    check_request(request)
    cites_segmentation = cites_segmentation and bool(request.found)
    root = _content(request, cites_segmentation=cites_segmentation)
    dataset = begun(request, KIND, request.report_series_number)
    for element in root:
        dataset.add(element)
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.CodingSchemeIdentificationSequence = [private_scheme()]
    dataset.CurrentRequestedProcedureEvidenceSequence = [
        _evidence(request, cites_segmentation=cites_segmentation)
    ]
    return part10(request, dataset).getvalue()


def statement(request: OutputsRequest) -> str:
    """Return the statement that comes first in every object that a model contoured."""
    producer = request.producer
    made = f"Contoured without a person by {producer.algorithm_name} version {producer.algorithm_version}."
    return f"UNAPPROVED, for research use. {made}"


def _content(request: OutputsRequest, *, cites_segmentation: bool) -> Dataset:
    """Return the root of the content tree: TID 1500, in English."""
    cited = request.found if cites_segmentation else ()
    segments = {item.structure.code: number for number, item in enumerate(cited, 1)}
    images = () if cites_segmentation else _images(request)
    groups = [_group(request, item, segments.get(item.structure.code), images) for item in request.structures]
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_device(request)),
        procedure_reported=coded(
            MAGNETIC_RESONANCE if request.series.modality is Modality.MR else CT_OF_ANY_REGION
        ),
        imaging_measurements=groups,
        title=CodedConcept.from_code(codes.DCM.ImagingMeasurementReport),
        language_of_content_item_and_descendants=hd.sr.LanguageOfContentItemAndDescendants(coded(ENGLISH)),
    )
    root: Dataset = report[0]
    evaluations = ContainerContentItem(name=coded(QUALITATIVE_EVALUATIONS), relationship_type="CONTAINS")
    evaluations.ContentSequence = ContentSequence(_comments([statement(request), *request.notes]))
    root.ContentSequence.append(evaluations)
    return root


def _device(request: OutputsRequest) -> hd.sr.ObserverContext:
    producer = request.producer
    attributes = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=request.device_uid,
        manufacturer_name=producer.manufacturer,
        model_name=producer.model_name,
        serial_number=request.device_serial_number,
    )
    return hd.sr.ObserverContext(
        observer_type=CodedConcept.from_code(codes.DCM.Device), observer_identifying_attributes=attributes
    )


def _group(
    request: OutputsRequest, item: OutputsStructure, segment: int | None, images: Sequence[SourceImage]
) -> Group:
    """Return TID 1411 for a segment where there is one, else TID 1501 for the images that the structure meets."""
    named, structure, producer = property_of(item.structure), item.structure, request.producer
    laterality = coded(named.laterality) if named.laterality else None
    tracking = hd.sr.TrackingIdentifier(
        uid=request.tracking_uid(structure), identifier=request.tracking_identifier(structure)
    )
    algorithm = hd.sr.AlgorithmIdentification(
        name=producer.algorithm_name,
        version=producer.algorithm_version,
        family=coded(ARTIFICIAL_INTELLIGENCE),
        manufacturer=producer.manufacturer,
    )
    sites = [hd.sr.FindingSite(coded(named.type), laterality)] if named.is_anatomy else None
    said: dict[str, Any] = {
        "tracking_identifier": tracking,
        "finding_category": coded(named.category),
        "finding_type": coded(named.type),
        "finding_sites": sites,
        "algorithm_id": algorithm,
        "measurements": _measurements(request, item),
        "qualitative_evaluations": None if item.is_found else [_absent()],
    }
    group: Group
    if segment:
        group = hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=_segment(request, segment), **said
        )
    else:
        met = [images[frame.slice_index] for frame in frames_of([item.mask])]
        group = hd.sr.MeasurementsAndQualitativeEvaluations(source_images=met, **said)
    group[0].ContentSequence.extend(_comments(item.notes))
    return group


def _measurements(request: OutputsRequest, item: OutputsStructure) -> list[hd.sr.Measurement]:
    if not item.is_found:
        return []
    volume_cm3 = item.mask.voxels() * request.series.volume.grid.voxel_volume_mm3 / 1000
    measured = [(VOLUME, float(f"{volume_cm3:.6g}"), CUBIC_CENTIMETRE)]
    if item.mean_probability is not None:
        measured.append((MEAN_PROBABILITY, round(item.mean_probability, 4), NO_UNITS))
    return [_measurement(*values) for values in measured]


def _measurement(name: Code, value: float, unit: Code) -> hd.sr.Measurement:
    return hd.sr.Measurement(name=coded(name), value=value, unit=coded(unit))


def _absent() -> hd.sr.QualitativeEvaluation:
    return hd.sr.QualitativeEvaluation(name=coded(PRESENCE), value=coded(ABSENT))


def _segment(request: OutputsRequest, number: int) -> hd.sr.ReferencedSegment:
    return hd.sr.ReferencedSegment(
        sop_class_uid=SegmentationStorage,
        sop_instance_uid=request.segmentation_uid,
        segment_number=number,
        source_series=hd.sr.SourceSeriesForSegmentation(request.series.series_uid),
    )


def _images(request: OutputsRequest) -> list[SourceImage]:
    """Return an item for each slice, shared by all groups that meet it: highdicom takes a millisecond to make one."""
    return [SourceImage(image.sop_class_uid, image.sop_instance_uid) for image in request.series.slices]


def _comments(texts: Sequence[str]) -> list[TextContentItem]:
    return [
        TextContentItem(name=coded(COMMENT), value=text, relationship_type="CONTAINS")
        for text in texts
        if text.strip()
    ]


def _evidence(request: OutputsRequest, *, cites_segmentation: bool) -> Dataset:
    """Return everything that the report refers to, within its study: the CT, and the segmentation where it is cited."""
    images = Dataset()
    images.SeriesInstanceUID = request.series.series_uid
    images.ReferencedSOPSequence = [reference(image) for image in request.series.slices]
    study = Dataset()
    study.StudyInstanceUID = request.series.study_uid
    study.ReferencedSeriesSequence = [images]
    if cites_segmentation:
        segmentation, one = Dataset(), Dataset()
        one.ReferencedSOPClassUID = SegmentationStorage
        one.ReferencedSOPInstanceUID = request.segmentation_uid
        segmentation.SeriesInstanceUID = request.uid(SEGMENTATION_KIND.name, "series")
        segmentation.ReferencedSOPSequence = [one]
        study.ReferencedSeriesSequence.append(segmentation)
    return study

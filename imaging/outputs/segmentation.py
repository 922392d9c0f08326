"""A DICOM segmentation of the structures found: one coded binary segment each, on the CT's own grid (PS3.3 A.51)."""

import struct
from itertools import combinations

from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentDescription
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage

from imaging.dicom.patient_study import Elements, copied
from imaging.outputs.concepts import (
    ARTIFICIAL_INTELLIGENCE,
    PRIVATE_SCHEME,
    coded,
    private_scheme,
    property_of,
)
from imaging.outputs.frames import Frame, decimal_text, frames_of, functional_groups, packed
from imaging.outputs.instance import OutputKind, begun, lossiness, part10, reference
from imaging.outputs.request import OutputsNotWritable, OutputsRequest, OutputsStructure, check_request
from imaging.volumes.crops import box_of
from imaging.volumes.volume import Mask

KIND = OutputKind(
    name="segmentation",
    sop_class_uid=SegmentationStorage,
    modality="SEG",
    series_description="Contour Node segmentation, UNAPPROVED",
)
SEGMENT_DESCRIPTION_LIMIT = 1024  # Segment Description (0062,0006), ST
_PER_FRAME = Tag("PerFrameFunctionalGroupsSequence")
_MAX_PIXEL_BYTES = 0xFFFFFFFE


def make_segmentation(request: OutputsRequest) -> bytes:
    """Return a complete Part 10 file of an unapproved segmentation; byte-identical for the same request.

    Frames have the CT's rows and columns; a slice that a structure does not meet has no frame. Structures may
    overlap; one that was not found has no segment. Raises OutputsNotWritable where none was found, or where no valid
    file can hold the request.
    """
    check_request(request)
    masks = [item.mask for item in request.found]
    frames = frames_of(masks)
    if not frames:
        raise OutputsNotWritable("no structure has a voxel: a segmentation needs at least one frame")
    _, rows, columns = request.series.volume.grid.shape_zyx
    size = -(-len(frames) * rows * columns // 8)
    if size > _MAX_PIXEL_BYTES:
        raise OutputsNotWritable(f"{len(frames)} frames take {size} bytes, more than Pixel Data can hold")
    groups = functional_groups(frames, request.series.slices)
    extra: Elements = {_PER_FRAME: RawDataElement(_PER_FRAME, "SQ", len(groups), groups, 0, False, True)}
    extra.update(copied(request.series.header, ["PositionReferenceIndicator"], even_if_absent=True))
    extra.update(lossiness(request.series.header))
    buffer = part10(request, _dataset(request, frames), extra)
    buffer.write(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, size + size % 2))
    for piece in packed(masks, frames, (rows, columns)):
        buffer.write(piece)
    buffer.write(b"\0" * (size % 2))
    return buffer.getvalue()


def _dataset(request: OutputsRequest, frames: list[Frame]) -> Dataset:
    dataset = begun(request, KIND, request.segmentation_series_number)
    dataset.FrameOfReferenceUID = request.series.frame_of_reference_uid
    dataset.ContentLabel = "CONTOUR_NODE"
    dataset.ContentDescription = request.producer.generation_description
    dataset.ContentCreatorName = ""
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames = len(frames)
    _, dataset.Rows, dataset.Columns = request.series.volume.grid.shape_zyx
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 1, 1, 0, 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentsOverlap = "YES" if _overlap(request.found) else "NO"
    dataset.SegmentSequence = [_segment(request, n, item) for n, item in enumerate(request.found, 1)]
    if any(property_of(item.structure).type.scheme == PRIVATE_SCHEME for item in request.found):
        dataset.CodingSchemeIdentificationSequence = [private_scheme()]
    series = Dataset()
    series.SeriesInstanceUID = request.series.series_uid
    series.ReferencedInstanceSequence = [reference(image) for image in request.series.slices]
    dataset.ReferencedSeriesSequence = [series]
    dataset.SharedFunctionalGroupsSequence = [_shared(request)]
    _add_dimensions(dataset, request)
    return dataset


def _segment(request: OutputsRequest, number: int, item: OutputsStructure) -> Dataset:
    named, structure, producer = property_of(item.structure), item.structure, request.producer
    segment = SegmentDescription(
        segment_number=number,
        segment_label=structure.name,
        segmented_property_category=coded(named.category),
        segmented_property_type=coded(named.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=producer.algorithm_name,
            family=coded(ARTIFICIAL_INTELLIGENCE),
            version=producer.algorithm_version,
            source=producer.manufacturer,
        ),
        tracking_uid=request.tracking_uid(structure),
        tracking_id=request.tracking_identifier(structure),
        display_color=CIELabColor.from_rgb(*structure.colour_rgb),
    )
    if named.laterality:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(named.laterality)]
    certain = item.mean_probability
    words = [*item.notes, *([] if certain is None else [f"Mean probability inside: {certain:.2f}"])]
    if words:
        segment.SegmentDescription = "; ".join(words)[:SEGMENT_DESCRIPTION_LIMIT]
    return segment


def _overlap(structures: tuple[OutputsStructure, ...]) -> bool:
    return any(_meet(one.mask, other.mask) for one, other in combinations(structures, 2))


def _meet(one: Mask, other: Mask) -> bool:
    own, others = box_of(one), box_of(other)
    shared = own.met(others)
    if min(shared.shape) == 0:
        return False
    both = one.crop_zyx[shared.slices_in(own)] & other.crop_zyx[shared.slices_in(others)]
    return bool(both.any())


def _shared(request: OutputsRequest) -> Dataset:
    """Return orientation and voxel size as the CT writes them; slices are as thick as the CT says, or their spacing."""
    header, grid = request.series.header, request.series.volume.grid
    distance = f"{grid.spacing_zyx_mm[0]:.10g}"
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [decimal_text(str(v)) for v in header.ImageOrientationPatient]
    measures.PixelSpacing = [decimal_text(str(v)) for v in header.PixelSpacing]
    thickness = header.get("SliceThickness", None)
    measures.SliceThickness = decimal_text(str(thickness)) if thickness else distance
    measures.SpacingBetweenSlices = distance
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    return shared


def _add_dimensions(dataset: Dataset, request: OutputsRequest) -> None:
    """Index frames by segment, then by position (PS3.3 C.7.6.17), as highdicom does."""
    uid = request.uid("segmentation", "dimensions")
    organisation = Dataset()
    organisation.DimensionOrganizationUID = uid
    dataset.DimensionOrganizationSequence = [organisation]
    dataset.DimensionIndexSequence = [
        _dimension(uid, "ReferencedSegmentNumber", "SegmentIdentificationSequence", "Segment Number"),
        _dimension(uid, "ImagePositionPatient", "PlanePositionSequence", "Image Position Patient"),
    ]


def _dimension(uid: str, pointer: str, group: str, label: str) -> Dataset:
    dimension = Dataset()
    dimension.DimensionOrganizationUID = uid
    dimension.DimensionIndexPointer, dimension.FunctionalGroupPointer = Tag(pointer), Tag(group)
    dimension.DimensionDescriptionLabel = label
    return dimension

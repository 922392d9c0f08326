"""A page with a picture of the contours on the images, as a Secondary Capture image (PS3.3 A.8.1)."""

from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from imaging.ct.series import SliceReference
from imaging.outputs.concepts import SOURCE_IMAGE, coded
from imaging.outputs.instance import OutputKind, begun, lossiness, part10, reference
from imaging.outputs.page import make_page
from imaging.outputs.request import OutputsRequest, check_request
from imaging.volumes.rendering import picture
from imaging.volumes.volume import Masks

KIND = OutputKind(
    name="capture",
    sop_class_uid=SecondaryCaptureImageStorage,
    modality="OT",
    series_description="Contour Node picture, UNAPPROVED",
)


def make_capture(request: OutputsRequest) -> bytes:
    """Return a Part 10 file of one RGB page: three panels, a legend, and who made it; no text names the patient.

    The page states that it is unapproved and for research. The same request makes the same bytes. Raises
    OutputsNotWritable where no valid file can hold the request.
    """
    check_request(request)
    masks = Masks(
        grid=request.series.volume.grid,
        by_code={item.structure.code: item.mask for item in request.structures},
    )
    structures = {item.structure.code: item.structure for item in request.structures}
    pixels = picture(request.series.volume, masks, title=title(request), structures=structures)
    dataset = begun(request, KIND, request.capture_series_number)
    make_page(dataset, pixels, request.producer, comment=_comment(request))
    _tell_the_source(dataset, request)
    return part10(request, dataset, lossiness(request.series.header)).getvalue()


def _comment(request: OutputsRequest) -> str:
    remarks = [f"{item.structure.name}: {note}" for item in request.structures for note in item.notes]
    return " ".join(["UNAPPROVED, for research use.", *remarks])


def title(request: OutputsRequest) -> str:
    """Return the line above the panels: first the warning, then the model; nothing about the patient."""
    producer = request.producer
    return f"UNAPPROVED, for research use   {producer.algorithm_name} version {producer.algorithm_version}"


def _tell_the_source(dataset: Dataset, request: OutputsRequest) -> None:
    producer = request.producer
    made = f"contoured by {producer.algorithm_name} version {producer.algorithm_version}"
    dataset.DerivationDescription = (
        f"Axial, coronal and sagittal cut of the {request.series.modality}, {made}, drawn with its outlines"
    )
    dataset.SourceImageSequence = [_source(image) for image in request.series.slices]


def _source(image: SliceReference) -> Dataset:
    item = reference(image)
    item.PurposeOfReferenceCodeSequence = [coded(SOURCE_IMAGE)]
    return item

"""Objects that tell a planning system that there are no contours, and why: an empty structure set or a page of text."""

import textwrap
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import SecondaryCaptureImageStorage

from imaging.ct.series import ImageSeries
from imaging.dicom.uids import derived_uid
from imaging.errors import StructureSetNotWritable
from imaging.export.profiles import ExportProfile, TransferSyntax
from imaging.outputs.instance import OutputKind, begun, lossiness, part10, reference
from imaging.outputs.page import make_page
from imaging.outputs.request import OutputsRequest
from imaging.rtstruct.request import RESEARCH_USE
from imaging.rtstruct.writing import Producer, RoiContours, StructureSetRequest, write_structure_set
from imaging.structures import InterpretedType, Structure
from imaging.validation import refusal, validate

LABEL = "CN FAILED"
SERIES_DESCRIPTION = "Contour Node FAILED, no contours"
SET_SERIES_NUMBER, PAGE_SERIES_NUMBER = 9104, 9105
_MOST_OF_A_REASON = 800
_PAGE_WIDTH_PX, _PAGE_HEIGHT_PX, _MARGIN_PX, _LINE_PX, _LINE_CHARACTERS = 1024, 640, 40, 30, 88
# An ROI without contours: the standard asks for one item in each of the three sequences (PS3.3 C.8.8.5, .6, .8).
_NO_CONTOURS = Structure(
    code="no-contours",
    name="NO CONTOURS",
    colour_rgb=(255, 0, 0),
    interpreted_type=InterpretedType.CONTROL,
    concept=None,
)
_PAGE = OutputKind(
    name="failure notice",
    sop_class_uid=SecondaryCaptureImageStorage,
    modality="OT",
    series_description=SERIES_DESCRIPTION,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class FailureReport:
    """Why there are no contours of a series; the same report makes the same bytes. The reason has no patient data."""

    series: ImageSeries
    reason: str
    producer: Producer
    job_uid: str
    created: datetime

    @property
    def text(self) -> str:
        """The reason in plain ASCII, on one line, truncated where it is very long."""
        plain = " ".join(self.reason.encode("ascii", "replace").decode("ascii").replace("\\", "/").split())
        return plain if len(plain) <= _MOST_OF_A_REASON else f"{plain[:_MOST_OF_A_REASON]}..."


def failure_structure_set(report: FailureReport, profile: ExportProfile) -> bytes:
    """Return a structure set with one ROI without contours, labelled as failed, with the reason in its description.

    Raises StructureSetNotWritable where no valid set can refer to the series.
    """
    if not report.series.frame_of_reference_uid:
        raise StructureSetNotWritable("the images have no Frame of Reference UID (0020,0052)")
    data = write_structure_set(
        StructureSetRequest(
            series=report.series,
            rois=[RoiContours(structure=_NO_CONTOURS, name=_NO_CONTOURS.name, contours=())],
            label=LABEL,
            description=f"UNAPPROVED. Not contoured, no contours in here: {report.text} {RESEARCH_USE}",
            sop_instance_uid=derived_uid("failure notice", profile.transfer_syntax, report.job_uid),
            series_instance_uid=derived_uid("failure notice series", profile.transfer_syntax, report.job_uid),
            created=report.created,
            producer=report.producer,
            series_description=SERIES_DESCRIPTION,
            series_number=SET_SERIES_NUMBER,
            explicit_vr=profile.transfer_syntax is TransferSyntax.EXPLICIT,
        )
    )
    failed = refusal(validate(data, profile, series=report.series))
    if failed is not None:
        raise StructureSetNotWritable(f"an empty structure set does not pass its check: {failed}")
    return data


def failure_page(report: FailureReport) -> bytes:
    """Return a Secondary Capture image of one page of text that says what failed and why; no text names the patient."""
    request = OutputsRequest(
        series=report.series,
        structures=(),
        notes=(),
        producer=report.producer,
        job_uid=report.job_uid,
        created=report.created,
    )
    dataset = begun(request, _PAGE, PAGE_SERIES_NUMBER)
    make_page(dataset, _drawn(report), report.producer, comment=f"Not contoured: {report.text}")
    dataset.ReferencedImageSequence = [reference(image) for image in report.series.slices]
    return part10(request, dataset, lossiness(report.series.header)).getvalue()


def _drawn(report: FailureReport) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    page = Image.new("RGB", (_PAGE_WIDTH_PX, _PAGE_HEIGHT_PX))
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN_PX, _MARGIN_PX), "NOT CONTOURED", fill=(255, 80, 80), font=ImageFont.load_default(36))
    lines = [
        *textwrap.wrap(report.text, _LINE_CHARACTERS),
        "",
        f"{report.producer.manufacturer}. {RESEARCH_USE}",
    ]
    for number, line in enumerate(lines):
        place = (_MARGIN_PX, 3 * _MARGIN_PX + number * _LINE_PX)
        draw.text(place, line, fill=(255, 255, 255), font=ImageFont.load_default(20))
    return np.array(page)

"""A CT series that could not be contoured, as far as its headers tell: enough for a failure report."""

import io
from collections.abc import Iterable

import numpy as np
from pydicom import Dataset, dcmread

from imaging.ct.raw_slice import named
from imaging.ct.series import ImageSeries, SliceReference, SourceFile
from imaging.dicom.patient_study import ALWAYS, WHERE_PRESENT
from imaging.errors import PARSE_ERRORS, ImageRefused, RefusalCode
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_IDENTITY = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_ONE_VOXEL = Volume(
    array_zyx=np.zeros((1, 1, 1), np.int16),
    grid=Grid(
        shape_zyx=(1, 1, 1),
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=(1.0, 1.0, 1.0),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    ),
)


def failed_series(files: Iterable[SourceFile]) -> ImageSeries:
    """Return the images of the first one's study, series and frame of reference, in the order given.

    The volume means nothing: a single voxel stands for what could not be built. `frame_of_reference_uid` is empty where
    the images have none. `header` has only those attributes of patient and study on which all images agree; the others
    are empty. Raises ImageRefused where no image can be read, and where the images are of two patients: what is made
    of them would be filed under one.
    """
    header: Dataset | None = None
    slices: list[SliceReference] = []
    for file in files:
        found = _header(file)
        if header is None:
            header = found
        _agree(header, found)
        if all(found.get(keyword) == header.get(keyword) for keyword in _UIDS[2:]):
            slices.append(_reference(found))
    if header is None:
        raise ImageRefused(RefusalCode.UNREADABLE, "the series has no image")
    return ImageSeries(
        volume=_ONE_VOXEL,
        slices=tuple(slices),
        header=header,
        study_uid=str(header.StudyInstanceUID),
        series_uid=str(header.SeriesInstanceUID),
        frame_of_reference_uid=str(header.get("FrameOfReferenceUID", None) or ""),
        patient_position=str(header.get("PatientPosition", None) or ""),
    )


def _agree(header: Dataset, other: Dataset) -> None:
    """Empty what another image contradicts in the header; ImageRefused where that is who the patient is."""
    for keyword in _IDENTITY:
        one, another = (str(image.get(keyword, None) or "").strip() for image in (header, other))
        if one != another and (keyword == _IDENTITY[0] or (one and another)):
            images = f"images {header.SOPInstanceUID} and {other.SOPInstanceUID}"
            found = f"{named(keyword)} differs between {images}: two patients in one series"
            raise ImageRefused(RefusalCode.MIXED_SERIES, f"{found}. Send the images of one patient alone.")
    for keyword in {*ALWAYS, *WHERE_PRESENT} - {*_IDENTITY, "SpecificCharacterSet"}:
        if keyword in header and header.get(keyword) != other.get(keyword):
            header[keyword].value = None


def _header(file: SourceFile) -> Dataset:
    try:
        found = dcmread(io.BytesIO(file.data), stop_before_pixels=True)
        if all(found.get(keyword) for keyword in _UIDS[:4]):
            return found
    except PARSE_ERRORS as error:
        raise ImageRefused(RefusalCode.UNREADABLE, f"image {file.name} cannot be read: {error}") from error
    raise ImageRefused(RefusalCode.UNREADABLE, f"image {file.name} lacks one of {', '.join(_UIDS[:4])}")


def _reference(header: Dataset) -> SliceReference:
    return SliceReference(
        sop_class_uid=str(header.SOPClassUID),
        sop_instance_uid=str(header.SOPInstanceUID),
        position=("", "", ""),  # only contours need it, and there are none
    )

"""Faults that other systems' files have had, planted one by one, and what is no fault."""

import copy
from collections.abc import Callable

import pytest
from pydicom import Dataset

from imaging.export.profiles import ExportProfile
from imaging.validation import validate
from tests.imaging.structure_sets import ct_series
from tests.imaging.test_validation import (
    ECLIPSE,
    GOOD,
    SERIES,
    SQUARE,
    STANDARD,
    contour,
    coordinates,
    drop,
    put,
    roi,
    series_item,
    spoiled,
    within,
)

Spoil = Callable[[Dataset], None]
DRAWN = ("ROIContourSequence", 1)
FRAME = ("ReferencedFrameOfReferenceSequence", 0)
STUDY = (*FRAME, "RTReferencedStudySequence", 0)
CONTOUR_IMAGE = (*DRAWN, "ContourSequence", 0, "ContourImageSequence", 0)
MR, RTSTRUCT = b"1.2.840.10008.5.1.4.1.1.4\0", b"1.2.840.10008.5.1.4.1.1.481.3\0"
ON_IMAGE = ("-8\\24", "-6\\24", "-6\\30", "-8\\30")
Z = SERIES.slices[1].position[2]


def no_contours(dataset: Dataset) -> None:
    dataset.ROIContourSequence[1].ContourSequence = []


def four_points(item: Dataset) -> None:
    item.ContourGeometricType = "POINT"
    coordinates(*SQUARE)(item)


def second_frame(dataset: Dataset) -> None:
    """The Larynx drawn on MR images in a frame of reference of their own, listed with these images."""
    other = copy.deepcopy(dataset.ReferencedFrameOfReferenceSequence[0])
    other.FrameOfReferenceUID = "1.2.3.4"
    series = other.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    series.SeriesInstanceUID = "1.2.3.5"
    for k, image in enumerate(series.ContourImageSequence):
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = MR.decode().strip("\0"), f"1.2.3.6.{k}"
    dataset.ReferencedFrameOfReferenceSequence.append(other)
    dataset.StructureSetROISequence[1].ReferencedFrameOfReferenceUID = "1.2.3.4"
    for item in dataset.ROIContourSequence[1].ContourSequence:
        image = item.ContourImageSequence[0]
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = MR.decode().strip("\0"), "1.2.3.6.1"


FAULTS: dict[str, tuple[Spoil, str, str]] = {
    "a contour sequence of 0 items": (no_contours, "roi-empty", "warning"),
    "MR images listed": (
        series_item(within(put("ReferencedSOPClassUID", MR), "ContourImageSequence", 0)),
        "image-class",
        "error",
    ),
    "a structure set listed as image": (
        series_item(within(put("ReferencedSOPClassUID", RTSTRUCT), "ContourImageSequence", 0)),
        "image-class",
        "error",
    ),
    "a contour on an MR image": (
        within(put("ReferencedSOPClassUID", MR), *CONTOUR_IMAGE),
        "image-class",
        "error",
    ),
    "a contour's image without class": (
        within(drop("ReferencedSOPClassUID"), *CONTOUR_IMAGE),
        "missing",
        "error",
    ),
    "a contour's image without UID": (
        within(drop("ReferencedSOPInstanceUID"), *CONTOUR_IMAGE),
        "missing",
        "error",
    ),
    "another study": (within(put("ReferencedSOPInstanceUID", b"1.2.3.4.5\0"), *STUDY), "study", "error"),
    "a frame without images": (within(drop("RTReferencedStudySequence"), *FRAME), "frame-empty", "error"),
    "a POINT of 4 points": (contour(four_points), "point-contour", "error"),
    "a bow tie": (contour(coordinates("0\\0", "5\\5", "5\\0", "0\\7")), "self-crossing", "warning"),
    "a figure of eight": (contour(coordinates("0\\0", "5\\5", "5\\0", "0\\5")), "self-crossing", "warning"),
    "a line": (contour(coordinates("0\\0", "5\\5", "2\\2", "1\\1")), "zero-area", "error"),
    "one point three times": (contour(coordinates("1\\1", "1\\1", "1\\1")), "zero-area", "error"),
    "colour 300": (within(put("ROIDisplayColor", b"300\\0\\0 "), *DRAWN), "colour", "error"),
    "a colour of two numbers": (within(put("ROIDisplayColor", b"3\\0 "), *DRAWN), "colour", "error"),
    "month 13": (put("StructureSetDate", b"20241399"), "malformed-da", "error"),
    "30 February": (put("StructureSetDate", b"20240230"), "malformed-da", "error"),
    "25 o'clock": (put("StructureSetTime", b"250000"), "malformed-tm", "error"),
    "another ROI Number twice as 01": (roi(put("ROINumber", b"01"), 1), "number-twice", "error"),
    "an escape that is none": (roi(put("ROIName", b"La\x1b[31mrynx ")), "charset-wrong", "error"),
    "a control character of eight bits": (
        roi(put("ROIName", b"La\xc2\x85rynx ")),
        "control-characters",
        "warning",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str) -> None:
    change, code, severity = FAULTS[name]
    found = {
        (finding.code, finding.severity.value)
        for finding in validate(spoiled(change), ECLIPSE, series=SERIES)
    }
    assert (code, severity) in found


def marker(item: Dataset) -> None:
    """A marker between two slices, on no image."""
    item.ContourGeometricType = "POINT"
    item.NumberOfContourPoints = 1
    item.ContourData = [0.0, 0.0, float(Z) + 1.1]
    del item.ContourImageSequence


NO_FAULTS: dict[str, Spoil] = {
    "a marker between slices": contour(marker),
    "a closing point": contour(coordinates(*ON_IMAGE, ON_IMAGE[0])),
    "a second frame": second_frame,
    "numbers with zeros": within(put("ReferencedROINumber", b"02"), *DRAWN),
    "a count with zeros": contour(put("NumberOfContourPoints", b"0004")),
}


def no_fault(name: str) -> bytes:
    """A file with what is unusual and right."""

    def change(dataset: Dataset) -> None:
        for item in dataset.StructureSetROISequence:
            item.ROIVolume = None  # which was that of other contours
        coordinates(*ON_IMAGE)(dataset.ROIContourSequence[1].ContourSequence[0])
        NO_FAULTS[name](dataset)

    return spoiled(change)


@pytest.mark.parametrize("profile", [STANDARD, ECLIPSE])
@pytest.mark.parametrize("name", NO_FAULTS)
def test_what_is_no_fault_raises_no_alarm(name: str, profile: ExportProfile) -> None:
    assert validate(no_fault(name), profile, series=SERIES) == ()


@pytest.mark.parametrize(("off", "severity"), [("0.05", ["warning"]), ("0.4", ["error"])])
def test_rounded_positions_are_warnings(off: str, severity: list[str]) -> None:
    series = ct_series(zs=tuple(str(float(image.position[2]) + float(off)) for image in SERIES.slices))
    found = [f.severity.value for f in validate(GOOD, STANDARD, series=series) if f.code == "plane-off"]
    assert set(found) == set(severity)

"""Objects that go out beside a structure set: a segmentation, a measurement report and a picture of the contours."""

from imaging.beside.capture import make_capture
from imaging.beside.report import make_report
from imaging.beside.request import BesideNotWritable, BesideRequest, BesideStructure
from imaging.beside.segmentation import make_segmentation

__all__ = [
    "BesideNotWritable",
    "BesideRequest",
    "BesideStructure",
    "make_capture",
    "make_report",
    "make_segmentation",
]

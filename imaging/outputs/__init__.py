"""The companion objects of a structure set: a segmentation, a measurement report and a capture of the contours."""

from imaging.outputs.capture import make_capture
from imaging.outputs.report import make_report
from imaging.outputs.request import OutputsNotWritable, OutputsRequest, OutputsStructure
from imaging.outputs.segmentation import make_segmentation

__all__ = [
    "OutputsNotWritable",
    "OutputsRequest",
    "OutputsStructure",
    "make_capture",
    "make_report",
    "make_segmentation",
]

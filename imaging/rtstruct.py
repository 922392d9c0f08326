"""RT Structure Sets: polygons and CT references to a complete file, and any system's file back to polygons."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from imaging.contours import PlanarContour
from imaging.ct import CtSeries
from imaging.structures import Structure


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiContours:
    """One ROI to write: its catalogue structure, the name it goes out under, its polygons and a description."""

    structure: Structure
    name: str
    contours: Sequence[PlanarContour]
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Producer:
    """Who made the contours: the node as equipment, and the model as algorithm."""

    manufacturer: str
    model_name: str
    software_version: str
    algorithm_name: str
    algorithm_version: str


@dataclass(frozen=True, kw_only=True, eq=False)
class StructureSetRequest:
    """Everything that goes into one structure set; the same request makes the same bytes.

    `label` has at most 16 characters. `created` is time-zone aware: its wall-clock date and time go into the file, with
    Timezone Offset From UTC where the CT has one.
    """

    series: CtSeries
    rois: Sequence[RoiContours]
    label: str
    description: str
    sop_instance_uid: str
    series_instance_uid: str
    created: datetime
    producer: Producer
    series_description: str = "Contour Node structures"
    series_number: int = 9001
    explicit_vr: bool = False
    decimals: int = 4


def write_structure_set(request: StructureSetRequest) -> bytes:
    """A complete Part 10 file of an unapproved RT Structure Set; byte-identical for the same request."""
    raise NotImplementedError

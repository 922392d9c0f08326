"""What the companion objects are made of, checked as a whole before any of them is made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from imaging.ct.series import ImageSeries
from imaging.dicom.character_sets import character_set_of, is_encodable
from imaging.dicom.uids import derived_uid
from imaging.rtstruct.request import Producer
from imaging.structures import Structure
from imaging.volumes.volume import Mask


class OutputsNotWritable(Exception):
    """A request that cannot be written as a valid object; the message names the structure or attribute."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputsStructure:
    """One structure that was looked for: its mask on the CT's grid (empty where not found), and what is known about it.

    `mean_probability` is the model's mean foreground probability inside the mask, None where the model does not state
    it.
    """

    structure: Structure
    mask: Mask
    mean_probability: float | None
    notes: tuple[str, ...] = ()

    @property
    def is_found(self) -> bool:
        """Whether the mask has a voxel."""
        return bool(self.mask.crop_zyx.any())


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputsRequest:
    """Everything that the companion objects of one job are made of; the same request makes the same bytes.

    All UIDs are derived from `job_uid`. `created` is time-zone aware; the files state it as wall-clock time in its
    zone, or in the zone that the CT states. `device_serial_number` tells one installation of the node from another.
    """

    series: ImageSeries
    structures: Sequence[OutputsStructure]
    notes: Sequence[str]
    producer: Producer
    job_uid: str
    created: datetime
    device_serial_number: str = "0"
    segmentation_series_number: int = 9101
    report_series_number: int = 9102
    capture_series_number: int = 9103

    @property
    def found(self) -> tuple[OutputsStructure, ...]:
        """The structures that have voxels, in order: segment n is the n-th of them, counted from 1."""
        return tuple(structure for structure in self.structures if structure.is_found)

    def uid(self, *parts: str) -> str:
        """Return a UID of this job, the same each time."""
        return derived_uid("beside", *parts, self.job_uid)

    @property
    def segmentation_uid(self) -> str:
        """SOP Instance UID of the segmentation that `make_segmentation` writes for this request."""
        return self.uid("segmentation")

    def tracking_uid(self, structure: Structure) -> str:
        """Return the UID by which segmentation and report refer to the same structure."""
        return self.uid("tracking", structure.code)

    def tracking_identifier(self, structure: Structure) -> str:
        """Return the text that accompanies the tracking UID: unique among the objects of this node."""
        return f"{structure.name} {self.job_uid}"

    @property
    def device_uid(self) -> str:
        """The UID of the node as a device: derived from its make, model and serial number."""
        producer = self.producer
        return derived_uid("device", producer.manufacturer, producer.model_name, self.device_serial_number)


def check_request(request: OutputsRequest) -> None:
    """Accept a request that valid objects can hold; OutputsNotWritable names what does not fit."""
    if not request.structures:
        raise OutputsNotWritable("no structure was given: there is nothing to write beside a structure set")
    if request.created.tzinfo is None:
        raise OutputsNotWritable("the time of creation has no time zone")
    if not request.job_uid.strip():
        raise OutputsNotWritable("the job has no UID, and every UID is derived from it")
    _check_producer(request)
    _check_series_numbers(request)
    _check_names(request)
    for structure in request.structures:
        _check_structure(structure, request.series.volume.grid.shape_zyx)
    _check_characters(request)


def _check_producer(request: OutputsRequest) -> None:
    producer = request.producer
    for attribute, text in (
        ("Manufacturer (0008,0070)", producer.manufacturer),
        ("Manufacturer's Model Name (0008,1090)", producer.model_name),
        ("Software Versions (0018,1020)", producer.software_version),
        ("Device Serial Number (0018,1000)", request.device_serial_number),
        ("Algorithm Name (0066,0036)", producer.algorithm_name),
        ("Algorithm Version (0066,0031)", producer.algorithm_version),
        ("Content Description (0070,0081)", producer.generation_description),
    ):
        _check_length(attribute, text)


def _check_series_numbers(request: OutputsRequest) -> None:
    numbers = (
        request.segmentation_series_number,
        request.report_series_number,
        request.capture_series_number,
    )
    if len(set(numbers)) < len(numbers) or not all(0 < number < 2**31 for number in numbers):
        raise OutputsNotWritable(f"Series Numbers (0020,0011) {numbers} must be positive and differ")


def _check_names(request: OutputsRequest) -> None:
    codes, names = set[str](), set[str]()
    for item in request.structures:
        name = item.structure.name
        _check_length("Segment Label (0062,0005)", name)
        if item.structure.code in codes or name.casefold() in names:
            raise OutputsNotWritable(f"structure '{name}' occurs twice (case does not tell names apart)")
        codes.add(item.structure.code)
        names.add(name.casefold())


def _check_length(attribute: str, text: str) -> None:
    if not text.strip() or text != text.strip() or len(text) > 64 or "\\" in text:
        rule = "1 to 64 characters, no backslash, no space at either end"
        raise OutputsNotWritable(f"{attribute} is '{text}': {rule}")


def _check_structure(item: OutputsStructure, shape_zyx: tuple[int, int, int]) -> None:
    stop = tuple(a + n for a, n in zip(item.mask.start_zyx, item.mask.crop_zyx.shape, strict=True))
    if any(end > count for end, count in zip(stop, shape_zyx, strict=True)):
        found = f"the mask of structure '{item.structure.name}' ends at {stop} (z, y, x)"
        raise OutputsNotWritable(f"{found}, the CT's grid has {shape_zyx} voxels")
    probability = item.mean_probability
    if probability is not None and not (math.isfinite(probability) and 0 <= probability <= 1):
        raise OutputsNotWritable(
            f"the mean probability of structure '{item.structure.name}' is {probability}, not 0 to 1"
        )


def _check_characters(request: OutputsRequest) -> None:
    header, producer = request.series.header, request.producer
    texts = [*request.notes, producer.manufacturer, producer.model_name, producer.software_version]
    texts += [producer.algorithm_name, producer.algorithm_version, request.device_serial_number]
    for item in request.structures:
        texts += [item.structure.name, *item.notes]
        texts += [item.structure.concept.meaning] if item.structure.concept else []
    for text in texts:
        if not is_encodable(text, header):
            charset = character_set_of(header)
            found = f"'{text}' cannot be written in the CT's Specific Character Set (0008,0005) {charset}"
            raise OutputsNotWritable(f"{found}; use plain letters")

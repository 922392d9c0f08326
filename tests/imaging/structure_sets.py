"""Requests for small structure sets, for the tests of writing and reading."""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from imaging.contours.exact import contours
from imaging.ct.series import ImageSeries, SourceFile, read_ct
from imaging.rtstruct.writing import Producer, RoiContours, StructureSetRequest
from imaging.structures import CATALOGUE
from imaging.volumes.volume import Mask
from tests.imaging.ct_slices import Spoil, part10, slice_dataset

SHAPE = (4, 12, 14)
CREATED = datetime(2026, 3, 4, 22, 30, 15, tzinfo=UTC)
PRODUCER = Producer(
    manufacturer="Contour Node",
    model_name="Contour Node",
    software_version="0.1.0",
    algorithm_name="hn_oar",
    algorithm_version="3",
)


def ct_series(
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    zs: tuple[str, ...] = ("-7.5", "-5.0000", "-2.5", "0"),
    spoil: Spoil | None = None,
) -> ImageSeries:
    """Four slices, 2.5 mm apart, z written in the ways that systems write it."""
    files = []
    for k, z in enumerate(zs):
        dataset = slice_dataset(np.zeros(SHAPE[1:], np.int16), ("-10.25", "20.5", z), orientation, k + 1)
        if spoil:
            spoil(dataset)
        files.append(SourceFile(name=f"slice {k}", data=part10(dataset)))
    return read_ct(files)


def ring(outer: int = 4, inner: int = 2) -> NDArray[np.bool_]:
    """A hollow square tube through slices 1 and 2, off centre."""
    full = np.zeros(SHAPE, np.bool_)
    full[1:3, 6 - outer : 6 + outer, 7 - outer : 7 + outer] = True
    full[1:3, 6 - inner : 6 + inner, 7 - inner : 7 + inner] = False
    return full


def request(
    series: ImageSeries, masks: Mapping[str, NDArray[np.bool_]] | None = None, **changes: object
) -> StructureSetRequest:
    """A request for these masks, by default a hollow parotid and a solid larynx."""
    if masks is None:
        masks = {"Parotid_L": ring(), "Larynx": ring(3, 0)}
    rois = [
        RoiContours(
            structure=CATALOGUE[code],
            name=CATALOGUE[code].name,
            contours=contours(Mask.from_full(full), series.volume.grid),
            description="Mean probability 0.93.",
        )
        for code, full in masks.items()
    ]
    values: dict[str, object] = {
        "series": series,
        "rois": rois,
        "label": "CN hn_oar",
        "description": "Contoured by a model.",
        "sop_instance_uid": "2.25.11",
        "series_instance_uid": "2.25.12",
        "created": CREATED,
        "producer": PRODUCER,
    }
    return StructureSetRequest(**{**values, **changes})  # type: ignore[arg-type]


def no_names(dataset: Dataset) -> None:
    """Take the patient's and study's optional values out of a slice."""
    for keyword in ("PatientName", "PatientID", "StudyID", "SpecificCharacterSet", "StudyDate"):
        del dataset[keyword]

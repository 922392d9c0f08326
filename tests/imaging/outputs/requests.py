"""Requests for the objects beside a structure set, for their tests."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imaging.ct.series import ImageSeries
from imaging.outputs import OutputsRequest, OutputsStructure
from imaging.structures import CATALOGUE
from imaging.volumes.volume import Mask
from tests.imaging.structure_sets import CREATED, PRODUCER, SHAPE, ring

JOB = "11111111-2222-4333-8444-555555555555"
PROBABILITIES = {"Parotid_L": 0.93456, "Larynx": 0.8, "Esophagus": 0.0}


def masks() -> dict[str, NDArray[np.bool_]]:
    """A hollow parotid, a larynx that overlaps it, and an oesophagus that was not found."""
    return {"Parotid_L": ring(), "Larynx": ring(3, 0), "Esophagus": np.zeros(SHAPE, np.bool_)}


def request(
    series: ImageSeries, given: Mapping[str, NDArray[np.bool_]] | None = None, **changes: object
) -> OutputsRequest:
    """A request for these masks, by default `masks()`."""
    structures = [
        OutputsStructure(
            structure=CATALOGUE[code],
            mask=Mask.from_full(full),
            mean_probability=PROBABILITIES.get(code),
            notes=("Touches the first slice.",) if code == "Larynx" else (),
        )
        for code, full in (masks() if given is None else given).items()
    ]
    values: dict[str, object] = {
        "series": series,
        "structures": structures,
        "notes": ("Esophagus: not found.",),
        "producer": PRODUCER,
        "job_uid": JOB,
        "created": CREATED,
    }
    return OutputsRequest(**{**values, **changes})  # type: ignore[arg-type]

"""Phantoms exported as DICOM are prepared by their names, and their masks come back as they were."""

from pathlib import Path

import numpy as np

from phantoms.regions import REGIONS
from phantoms.trunk import trunk_grid
from training.cases import Subset
from training.dataset import Dataset
from training.phantom_dicom import export_patient
from training.preparation.prepare import Wish, prepare

GRID = trunk_grid(spacing_zyx_mm=(10.0, 8.0, 8.0), shape_zyx=(20, 49, 62), bottom_mm=-100.0)


def test_an_exported_phantom_is_prepared_without_a_persons_help(tmp_path: Path) -> None:
    phantom = REGIONS["pelvis_male"](0, GRID)
    export_patient(phantom, tmp_path / "export" / "one", "one")
    said: list[str] = []
    shares = {Subset.TRAIN: 1.0, Subset.VAL: 0.0, Subset.TEST: 0.0}
    prepare(tmp_path / "export", tmp_path / "data", Wish(shares=shares), said.append)
    found = Dataset(tmp_path / "data")
    assert set(found.structures) == set(phantom.masks.by_code)
    case = found.case(found.names(Subset.TRAIN)[0])
    for index, code in enumerate(found.structures):
        assert np.array_equal(case.mask(index), phantom.masks.by_code[code].full(GRID.shape_zyx)), code

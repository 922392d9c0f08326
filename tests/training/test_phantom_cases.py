"""Phantoms as training cases and as a prepared dataset."""

from pathlib import Path

import numpy as np

from training.cases import Subset
from training.dataset import Dataset
from training.openkbp import HN_STRUCTURES
from training.phantom_cases import phantom_case, write_dataset


def test_phantoms_become_a_dataset_and_come_back_as_they_were(tmp_path: Path) -> None:
    case = phantom_case(3)
    assert case.synthetic
    assert case.drawn.all()
    for index, name in enumerate(HN_STRUCTURES):
        assert case.mask(index).any(), name
    left, right = (np.argwhere(case.mask(HN_STRUCTURES.index(f"Parotid_{s}")))[:, 2].mean() for s in "LR")
    assert left > right, "x grows to the patient's left"

    write_dataset(range(3, 4), tmp_path)

    dataset = Dataset(tmp_path)
    (name,) = dataset.names(Subset.TRAIN)
    stored = dataset.case(name)
    assert stored.synthetic
    assert np.array_equal(stored.hu_zyx, case.hu_zyx)
    assert np.array_equal(stored.planes, case.planes)
    assert stored.spacing_zyx_mm == case.spacing_zyx_mm
    assert isinstance(stored.hu_zyx, np.memmap)

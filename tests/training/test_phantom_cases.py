"""Phantoms as training cases."""

from pathlib import Path

import numpy as np

from training.cases import HN_STRUCTURES
from training.phantom_cases import phantom_case, write_case


def test_a_case_is_whole_and_comes_back_from_its_file(tmp_path: Path) -> None:
    case = phantom_case(3)
    assert case.synthetic
    assert case.drawn.all()
    assert case.hu_zyx.shape == case.bits_zyx.shape
    assert case.hu_zyx.dtype == np.int16
    for index, name in enumerate(HN_STRUCTURES):
        assert case.mask(index).any(), name
    left, right = (np.argwhere(case.mask(HN_STRUCTURES.index(f"Parotid_{s}")))[:, 2].mean() for s in "LR")
    assert left > right, "x grows to the patient's left"
    path = write_case(case, tmp_path)
    with np.load(path) as stored:
        assert np.array_equal(stored["hu"], case.hu_zyx)
        assert np.array_equal(stored["bits"], case.bits_zyx)
        assert tuple(stored["spacing_zyx_mm"]) == case.spacing_zyx_mm
    assert [file.name for file in tmp_path.iterdir()] == [path.name]

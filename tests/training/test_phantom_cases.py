"""Phantoms as training cases and as a prepared dataset."""

from pathlib import Path

import numpy as np

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Masks
from training.cases import Subset
from training.contour_styles import CONTOUR_STYLES
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


def test_a_style_changes_the_structures_that_it_names_by_its_margins() -> None:
    """A box of 4 x 6 x 6 voxels of 5 x 3.5 x 3.5 mm: 7 mm are two columns, 10 mm two slices towards the head."""
    grid = Grid(
        shape_zyx=(20, 24, 24),
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=(5.0, 3.5, 3.5),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    full = np.zeros(grid.shape_zyx, bool)
    full[8:12, 8:14, 8:14] = True
    box = Mask.from_full(full)
    masks = Masks(
        grid=grid, by_code={"CTV": box, "Bladder": box, "Femur_Head_L": box, "Bowel_Small": Mask.empty()}
    )
    wide, narrow = (CONTOUR_STYLES[name].drawn(masks).by_code for name in ("wide", "narrow"))
    ctv = wide["CTV"]
    assert (ctv.start_zyx, ctv.crop_zyx.shape) == ((8, 6, 6), (6, 10, 10)), (
        "two slices longer at the head end only"
    )
    assert wide["Bladder"] is wide["Femur_Head_L"] is box
    assert not wide["Bowel_Small"].voxels()
    assert (narrow["CTV"].start_zyx, narrow["CTV"].crop_zyx.shape) == ((8, 9, 9), (4, 4, 4))
    assert CONTOUR_STYLES["exact"].drawn(masks).by_code == masks.by_code

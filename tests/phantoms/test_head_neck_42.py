"""The 42 organs of the head and neck: the strata, their codes, sizes, sides and HU."""

from functools import lru_cache

import numpy as np
import pytest

from imaging.structures import CATALOGUE
from phantoms.anatomy.strata import ANCHORS, MID_LEVEL, ORGANS, SMALL_AND_HARD
from phantoms.head_neck import head_neck_grid
from phantoms.phantom import Phantom
from phantoms.regions import REGIONS

GRID = head_neck_grid(spacing_zyx_mm=(2.5, 2.0, 2.0), shape_zyx=(108, 140, 160), top_mm=95.0)


@lru_cache(maxsize=4)
def phantom(seed: int) -> Phantom:
    return REGIONS["head_neck_42"](seed, GRID)


def centre_x(made: Phantom, code: str) -> float:
    mask = made.masks.by_code[code]
    return float(GRID.points_lps(np.argwhere(mask.crop_zyx) + np.array(mask.start_zyx)).mean(axis=0)[0])


def test_strata_of_nine_nineteen_and_fourteen() -> None:
    assert (len(ANCHORS), len(MID_LEVEL), len(SMALL_AND_HARD)) == (9, 19, 14)
    assert len(set(ORGANS)) == 42
    assert set(ORGANS) <= set(CATALOGUE)


def test_the_partners_of_every_paired_organ_are_there() -> None:
    for code in ORGANS:
        partner = CATALOGUE[code].partner
        assert not partner or partner in ORGANS


@pytest.mark.parametrize("seed", [0, 1])
def test_every_organ_is_there_on_its_side(seed: int) -> None:
    made = phantom(seed)
    assert tuple(made.masks.by_code) == ORGANS
    for code in ORGANS:
        assert made.masks.by_code[code].voxels() > 4, code
        if code.endswith("_L"):
            assert centre_x(made, code) > 5, code
        elif code.endswith("_R"):
            assert centre_x(made, code) < -5, code


@pytest.mark.parametrize("seed", [0, 1])
def test_hu_tell_organs_from_what_is_round_them(seed: int) -> None:
    made = phantom(seed)

    def median(code: str) -> float:
        return float(np.median(made.volume.array_zyx[made.masks.by_code[code].full(GRID.shape_zyx)]))

    assert median("Mandible_L") > 350
    assert median("Joint_TM_R") > 300
    assert median("Cochlea_L") > 150
    assert 90 < median("Glnd_Thyroid_L") < 220
    assert 0 < median("Eye_R") < 35
    assert median("Cerebellum") > median("Brainstem") + 4


def test_halves_of_the_jaw_make_the_whole_one() -> None:
    left, right = (phantom(0).masks.by_code[f"Mandible_{side}"].full(GRID.shape_zyx) for side in "LR")
    whole = REGIONS["head_neck"](0, GRID).masks.by_code["Mandible"].full(GRID.shape_zyx)
    assert not (left & right).any()
    assert np.count_nonzero(whole ^ (left | right)) <= 0.01 * np.count_nonzero(whole)

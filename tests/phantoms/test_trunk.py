"""Thorax and pelvis phantoms.

Sizes, sides and HU of what is in them, their variety, and an applicator where it can be.
"""

from functools import lru_cache

import numpy as np
import pytest

from imaging.structures import CATALOGUE
from phantoms import pelvis, thorax
from phantoms.phantom import Phantom
from phantoms.regions import REGIONS
from phantoms.trunk import PelvisParameters, trunk_grid

COARSE = trunk_grid(spacing_zyx_mm=(6.0, 4.0, 4.0), shape_zyx=(46, 84, 116))
PLAUSIBLE_CC = {
    "GTV": (0.2, 250),
    "Lung_L": (1500, 4500),
    "Lung_R": (1500, 4500),
    "Heart": (350, 800),
    "SpinalCord": (20, 60),
    "Bladder": (30, 350),
    "Femur_Head_L": (40, 80),
    "Femur_Head_R": (40, 80),
    "Bowel_Small": (50, 400),
}
CTV_CC = {"pelvis_male": (400, 1000), "pelvis_female": (400, 1000), "pelvis_cervix": (40, 220)}


@lru_cache(maxsize=16)
def phantom(region: str, seed: int) -> Phantom:
    return REGIONS[region](seed, COARSE)


def cc(made: Phantom, code: str) -> float:
    return made.masks.by_code[code].voxels() * COARSE.voxel_volume_mm3 / 1000


def centre_lps(made: Phantom, code: str) -> np.ndarray:
    mask = made.masks.by_code[code]
    return COARSE.points_lps(np.argwhere(mask.crop_zyx) + np.array(mask.start_zyx)).mean(axis=0)


def hu_of(made: Phantom, code: str) -> np.ndarray:
    return made.volume.array_zyx[made.masks.by_code[code].full(COARSE.shape_zyx)]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("region", ["thorax", "pelvis_male", "pelvis_female", "pelvis_cervix"])
def test_structures_have_plausible_volumes(region: str, seed: int) -> None:
    made = phantom(region, seed)
    assert made.region == region
    assert set(made.masks.by_code) == set(thorax.STRUCTURES if region == "thorax" else pelvis.STRUCTURES)
    assert set(made.masks.by_code) <= set(CATALOGUE)
    for code in made.masks.by_code:
        least, most = CTV_CC[region] if code == "CTV" else PLAUSIBLE_CC[code]
        assert least < cc(made, code) < most, code


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_left_is_left_and_organs_lie_in_their_order(seed: int) -> None:
    chest, cervix, man = (phantom(region, seed) for region in ("thorax", "pelvis_cervix", "pelvis_male"))
    assert centre_lps(chest, "Lung_L")[0] > 50 > -50 > centre_lps(chest, "Lung_R")[0]
    assert centre_lps(chest, "Heart")[0] > 0
    assert centre_lps(man, "Femur_Head_L")[0] > 60 > -60 > centre_lps(man, "Femur_Head_R")[0]
    for made in (cervix, man):
        assert centre_lps(made, "Bladder")[1] < centre_lps(made, "CTV")[1], "the bladder lies in front"
        assert centre_lps(made, "Bowel_Small")[2] > centre_lps(made, "Bladder")[2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hu_are_those_of_clinical_ct(seed: int) -> None:
    chest, man = phantom("thorax", seed), phantom("pelvis_male", seed)
    assert np.median(hu_of(chest, "Lung_L")) < -750
    assert 20 < np.percentile(hu_of(chest, "GTV"), 80) < 90  # partial volume at the rim of a small one
    assert -15 < np.median(hu_of(man, "Bladder")) < 35
    assert np.median(hu_of(man, "Femur_Head_R")) > 150


def test_tumours_differ_in_size_and_side() -> None:
    made = [phantom("thorax", seed) for seed in range(1, 9)]
    sizes = [cc(p, "GTV") for p in made]
    assert max(sizes) > 8 * min(sizes)
    sides = {bool(centre_lps(p, "GTV")[0] > 0) for p in made}
    assert sides == {True, False}


def test_an_applicator_is_metal_in_the_target_and_only_there() -> None:
    with_it, without = phantom("pelvis_cervix", 0), phantom("pelvis_female", 0)
    assert hu_of(with_it, "CTV").max() > 800
    assert hu_of(without, "CTV").max() < 800
    with pytest.raises(ValueError, match="sex is F"):
        PelvisParameters(sex="M", applicator=True)


def test_the_rectal_target_keeps_off_bladder_and_sacrum() -> None:
    made = phantom("pelvis_male", 0)
    target = made.masks.by_code["CTV"].full(COARSE.shape_zyx)
    assert not (target & made.masks.by_code["Bladder"].full(COARSE.shape_zyx)).any()
    assert np.percentile(hu_of(made, "CTV"), 98) < 250


def test_the_same_seed_is_the_same_patient() -> None:
    again = REGIONS["thorax"](1, COARSE)
    assert np.array_equal(again.volume.array_zyx, phantom("thorax", 1).volume.array_zyx)

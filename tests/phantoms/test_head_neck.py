"""The head-and-neck phantom: sizes, sides and HU of its organs, and that they do not depend on the grid."""

from functools import lru_cache

import numpy as np
import pytest

from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask
from phantoms.head_neck import STRUCTURES, anatomy, head_neck_grid, make_head_neck, structures
from phantoms.parameters import HeadNeckParameters
from phantoms.phantom import Phantom

COARSE = head_neck_grid(spacing_zyx_mm=(2.3, 2.0, 2.0), shape_zyx=(118, 140, 225), top_mm=95.0)
SLAB = head_neck_grid(spacing_zyx_mm=(2.3, 2.0, 2.0), shape_zyx=(8, 140, 225), top_mm=-20.0)
PLAUSIBLE_CC = {
    "Brainstem": (15, 40),
    "SpinalCord": (10, 40),
    "Parotid_R": (15, 45),
    "Parotid_L": (15, 45),
    "Larynx": (12, 45),
    "Mandible": (40, 100),
    "Esophagus": (5, 30),
}


@lru_cache(maxsize=8)
def phantom(seed: int) -> Phantom:
    how = HeadNeckParameters()
    return make_head_neck(how.vary(np.random.default_rng(seed)) if seed else how, COARSE)


def volume_cc(mask: Mask, grid: Grid) -> float:
    return mask.voxels() * grid.voxel_volume_mm3 / 1000


def centre_lps(mask: Mask, grid: Grid) -> np.ndarray:
    index = np.argwhere(mask.crop_zyx) + np.array(mask.start_zyx)
    return grid.points_lps(index).mean(axis=0)


def hu_of(made: Phantom, code: str) -> np.ndarray:
    return made.volume.array_zyx[made.masks.by_code[code].full(COARSE.shape_zyx)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_organs_have_plausible_volumes(seed: int) -> None:
    made = phantom(seed)
    assert set(made.masks.by_code) == set(STRUCTURES) <= set(CATALOGUE)
    for code, (least, most) in PLAUSIBLE_CC.items():
        assert least < volume_cc(made.masks.by_code[code], COARSE) < most, code


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_organs_lie_where_they_belong(seed: int) -> None:
    masks = phantom(seed).masks.by_code
    at = {code: centre_lps(mask, COARSE) for code, mask in masks.items()}
    assert at["Parotid_L"][0] > 40, "the left gland lies at the patient's left, +x"
    assert at["Parotid_R"][0] < -40
    assert at["Brainstem"][2] > at["Parotid_L"][2] > at["Larynx"][2] > at["Esophagus"][2]
    assert at["Mandible"][1] < at["Brainstem"][1], "the jaw lies in front: -y"
    assert at["Larynx"][1] < at["SpinalCord"][1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_organs_read_the_hu_of_clinical_ones(seed: int) -> None:
    made = phantom(seed)
    assert 15 < np.median(hu_of(made, "Brainstem")) < 50
    assert 15 < np.median(hu_of(made, "SpinalCord")) < 60
    assert -70 < np.median(hu_of(made, "Parotid_L")) < 70
    assert np.median(hu_of(made, "Mandible")) > 350
    assert hu_of(made, "Larynx").min() < -300, "the larynx holds its airway"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_organ_leaves_the_body(seed: int) -> None:
    made = phantom(seed)
    outside = _air_from_outside(made.volume.array_zyx)
    for code, mask in made.masks.by_code.items():
        assert not (outside & mask.full(COARSE.shape_zyx)).any(), code


def _air_from_outside(hu: np.ndarray) -> np.ndarray:
    """Air that reaches the picture's front edge straight on: never the air of lungs or throat."""
    return np.logical_and.accumulate(hu == -1000, axis=1)


def test_soft_organs_do_not_overlap_bone() -> None:
    masks = phantom(0).masks.by_code
    total = sum(masks[code].full(COARSE.shape_zyx).astype(int) for code in STRUCTURES)
    assert total.max() == 1


def test_the_same_seed_makes_the_same_bytes() -> None:
    how = HeadNeckParameters().vary(np.random.default_rng(5))
    one, two = make_head_neck(how, SLAB), make_head_neck(how, SLAB)
    other = make_head_neck(HeadNeckParameters().vary(np.random.default_rng(6)), SLAB)
    assert one.volume.array_zyx.tobytes() == two.volume.array_zyx.tobytes()
    assert one.volume.array_zyx.tobytes() != other.volume.array_zyx.tobytes()


def test_outside_the_patient_is_air_without_noise() -> None:
    made = make_head_neck(HeadNeckParameters(couch=False), SLAB)
    assert made.volume.array_zyx.min() == -1000
    assert (made.volume.array_zyx[:, 0, :] == -1000).all()
    assert (made.volume.array_zyx[-1] > -900).any()


def test_the_couch_lies_behind_the_patient() -> None:
    bare = make_head_neck(HeadNeckParameters(couch=False), SLAB).volume.array_zyx
    lying = make_head_neck(HeadNeckParameters(couch=True), SLAB).volume.array_zyx
    added = np.argwhere(lying != bare)
    assert len(added) > 1000
    body_rows = np.argwhere((bare > -500).any(axis=(0, 2)))
    assert added[:, 1].max() > body_rows.max()


def test_volumes_do_not_depend_on_the_spacing() -> None:
    fine = head_neck_grid(spacing_zyx_mm=(1.5, 1.0, 1.0), shape_zyx=(100, 160, 160), top_mm=70.0)
    low = fine.origin_lps
    coarse = Grid(
        shape_zyx=(50, 54, 54),
        origin_lps=(low[0] + 1.0, low[1] + 1.0, low[2] + 0.75),
        spacing_zyx_mm=(3.0, 3.0, 3.0),
        axes_lps=fine.axes_lps,
    )
    how = HeadNeckParameters(pitch_deg=5, distortion_mm=2)
    one, other = (make_head_neck(how, grid).masks.by_code for grid in (fine, coarse))
    for code in ("Brainstem", "Parotid_R", "Parotid_L", "Mandible"):
        assert volume_cc(other[code], coarse) == pytest.approx(volume_cc(one[code], fine), rel=0.04), code


def test_many_patients_can_be_drawn() -> None:
    point = np.zeros((1, 1, 1), np.float32)
    for seed in range(25):
        how = HeadNeckParameters().vary(np.random.default_rng(seed))
        for shape in (*structures(how).values(), *(layer.shape for layer in anatomy(how))):
            assert np.isfinite(shape.distance(point, point, point)).all()
        assert how.vary(np.random.default_rng(seed)) != how


def test_a_grid_with_other_axes_is_refused() -> None:
    flipped = Grid(
        shape_zyx=(4, 4, 4),
        origin_lps=(0, 0, 0),
        spacing_zyx_mm=(3, 3, 3),
        axes_lps=((0, 0, -1), (0, 1, 0), (-1, 0, 0)),
    )
    with pytest.raises(ValueError, match="axes"):
        make_head_neck(HeadNeckParameters(), flipped)


def test_a_grid_beside_the_patient_is_air() -> None:
    beside = Grid(
        shape_zyx=(3, 4, 5),
        origin_lps=(700.0, 0.0, 0.0),
        spacing_zyx_mm=(3.0, 3.0, 3.0),
        axes_lps=COARSE.axes_lps,
    )
    made = make_head_neck(HeadNeckParameters(), beside)
    assert (made.volume.array_zyx == -1000).all()
    assert all(mask.voxels() == 0 for mask in made.masks.by_code.values())

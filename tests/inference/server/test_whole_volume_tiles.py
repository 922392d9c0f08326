"""The whole pipeline with a network that answers by rule: spheres come back where they are, to a part of a voxel."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference.contract import ModelContract
from inference.server.pipelines.placement import model_axes
from inference.server.pipelines.sliding_window import Predict
from inference.server.pipelines.tile_predictor import mirrored_mean
from inference.server.pipelines.whole_volume_tiles import TilePipeline, mirrored_order
from inference.server.predictor import StructurePlanes
from tests.support.models import model_contract

Spacing = tuple[float, float, float]
CENTRE_MM = (52.3, 61.7, 48.9)
RADIUS_MM = 22.0
SPACINGS = [
    (2.5, 3.9, 3.9),
    (2.5, 1.0, 1.0),
    (1.0, 0.9, 0.9),
    (5.0, 1.2, 1.2),
    (3.0, 6.5, 6.5),
    (1.25, 4.0, 0.7),
]


def distances_mm(shape: tuple[int, ...], spacing: Spacing) -> NDArray[np.float64]:
    """From each voxel's centre to the sphere's; the first voxel's outer corner is the origin."""
    axes = [((np.arange(n) + 0.5) * s - c) ** 2 for n, s, c in zip(shape, spacing, CENTRE_MM, strict=True)]
    return np.asarray(np.sqrt(axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]))


def ball(spacing: Spacing) -> NDArray[np.int16]:
    """A CT whose HU fall by 20 a millimetre from the sphere's surface outwards, and rise inwards."""
    shape = tuple(round(length / step) for length, step in zip((105, 125, 100), spacing, strict=True))
    return np.clip(20 * (RADIUS_MM - distances_mm(shape, spacing)), -900, 900).astype(np.int16)


def contoured(
    hu: NDArray[np.int16], spacing: Spacing, answer_tiles: Predict, contract: ModelContract
) -> StructurePlanes:
    how = contract.native.pipeline
    return TilePipeline(contract=contract, how=how, answer_tiles=answer_tiles).predict(hu, spacing)


def rule(*scales: float) -> Predict:
    """A network that takes what is above 0 HU as every structure, times a sign."""
    return lambda hu: torch.stack([hu * scale for scale in scales], dim=1)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_a_sphere_comes_back_in_its_place_and_size(spacing: Spacing) -> None:
    hu = ball(spacing)
    contract = model_contract(codes=("Ball",))

    found = contoured(hu, spacing, rule(0.01), contract)

    mask = found.planes[0].astype(bool)
    assert mask.shape == hu.shape
    centre = [(np.mean(index) + 0.5) * step for index, step in zip(np.nonzero(mask), spacing, strict=True)]
    assert centre == pytest.approx(CENTRE_MM, abs=0.12)
    radius = (mask.sum() * np.prod(spacing) * 3 / 4 / np.pi) ** (1 / 3)
    assert radius == pytest.approx(RADIUS_MM, abs=0.35)
    truth = distances_mm(hu.shape, spacing) < RADIUS_MM
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.98
    assert 0.5 < found.mean_probability[0] < 1.0


def test_without_resampling_the_mask_is_exactly_what_the_network_says() -> None:
    hu = ball((2.5, 3.9, 3.9))
    found = contoured(hu, (2.5, 3.9, 3.9), rule(0.01), model_contract(codes=("Ball",)))
    assert np.array_equal(found.planes[0].astype(bool), hu > 0)
    inside = hu[hu > 0].astype(float) * 0.01
    assert found.mean_probability[0] == pytest.approx((1 / (1 + np.exp(-inside))).mean(), abs=1e-5)


def test_nine_structures_fill_two_planes_and_one_that_is_absent_stays_empty() -> None:
    spacing = (2.5, 4.0, 4.0)
    found = contoured(ball(spacing), spacing, rule(*[0.01] * 4, -0.0, *[0.01] * 4), model_contract())
    set_bits = [int((found.planes[i // 8] >> (i % 8) & 1).sum()) for i in range(9)]
    assert found.planes.shape[0] == 2
    assert set_bits[4] == 0
    assert found.mean_probability[4] == 0.0
    assert len(set(set_bits)) == 2
    assert (found.planes[1] <= 1).all()


def test_a_higher_threshold_makes_a_smaller_mask() -> None:
    spacing = (2.5, 1.0, 1.0)
    structures = [{"code": "Half", "threshold": 0.5}, {"code": "Strict", "threshold": 0.8}]
    contract = model_contract(codes=("Half", "Strict"), structures=structures)
    found = contoured(ball(spacing), spacing, rule(0.02, 0.02), contract)
    half, strict = (int((found.planes[0] >> bit & 1).sum()) for bit in (0, 1))
    # 20 HU and so 0.4 a mm: log(0.8 / 0.2) = 1.386 is reached 3.47 mm inside
    assert (strict / half) ** (1 / 3) == pytest.approx((RADIUS_MM - 3.47) / RADIUS_MM, abs=0.02)


def test_what_lies_apart_is_dropped_also_after_interpolation() -> None:
    spacing = (2.5, 1.0, 1.0)
    hu = ball(spacing)
    hu[2:5, 2:12, 2:12] = 400
    one = contoured(hu, spacing, rule(0.01), model_contract(codes=("Ball",)))
    assert not one.planes[0][:7, :20, :20].any()
    several = [{"code": "Ball", "single_piece": False}]
    both = contoured(hu, spacing, rule(0.01), model_contract(codes=("Ball",), structures=several))
    assert both.planes[0][3, 6, 6]


def test_a_ct_of_air_and_one_voxel_give_empty_masks() -> None:
    contract = model_contract(codes=("Ball",))
    for shape in ((12, 30, 30), (1, 1, 1)):
        found = contoured(np.full(shape, -1000, np.int16), (2.5, 1.0, 1.0), rule(0.01), contract)
        assert not found.planes.any()
        assert found.mean_probability.tolist() == [0.0]


def test_anatomy_at_the_edges_of_the_ct_is_not_cut() -> None:
    hu = np.full((40, 60, 60), 50, np.int16)
    found = contoured(hu, (2.5, 1.0, 1.0), rule(0.1), model_contract(codes=("All",)))
    assert found.planes.all()


def test_a_mirror_changes_partners_and_turns_back() -> None:
    contract = model_contract(codes=("L", "Mid", "R"), left_right_pairs=[["L", "R"]])
    assert mirrored_order(contract) == (2, 1, 0)
    seen = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])[:, None, None]
    same_patient_mirrored = seen[[2, 1, 0]].flip(-1)
    assert torch.equal(
        mirrored_mean(seen[None], same_patient_mirrored[None], mirrored_order(contract))[0], seen
    )
    other = torch.zeros_like(seen)
    other[2, 0, 0, 0] = 4.0  # the mirror's right structure at its lowest column: the left one at the highest
    assert mirrored_mean(seen[None], other[None], mirrored_order(contract))[0, 0].flatten().tolist() == [
        0.0,
        0.5,
        3.0,
    ]


def test_each_axis_is_resampled_only_if_its_own_spacing_asks_for_it() -> None:
    axes = model_axes((100, 512, 256), (3.0, 0.5, 4.0), model_contract().native.pipeline.voxels)
    assert [axis.ratio for axis in axes] == [1.0, 8.0, 1.0]
    assert [axis.model_length for axis in axes] == [100, 64, 256]

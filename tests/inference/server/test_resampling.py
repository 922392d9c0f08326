"""Model voxels over a CT and back: averages worked out by hand, and centres that stay where they are."""

import numpy as np
import pytest
import torch

from inference.server.resampling import Axis, interpolated_slabs, to_model_voxels

ACCEPTED = (1.9, 3.4)


@pytest.mark.parametrize(("spacing", "ratio"), [(1.9, 1.0), (2.5, 1.0), (3.4, 1.0), (5.0, 0.5), (1.0, 2.5)])
def test_spacings_that_the_network_knows_are_left_alone(spacing: float, ratio: float) -> None:
    assert Axis.fitted(40, spacing, accepted_mm=ACCEPTED, target_mm=2.5).ratio == pytest.approx(ratio)


def test_larger_voxels_are_area_means() -> None:
    axis = Axis(length=5, ratio=2.5)
    assert axis.model_length == 2
    expected = torch.tensor([[0.4, 0.4, 0.2, 0.0, 0.0], [0.0, 0.0, 0.2, 0.4, 0.4]])
    assert torch.allclose(axis.to_model(), expected)


def test_smaller_voxels_are_interpolated_between_centres() -> None:
    weights = Axis(length=3, ratio=0.5).to_model()
    assert weights.shape == (6, 3)
    assert torch.allclose(
        weights @ torch.tensor([0.0, 4.0, 8.0]), torch.tensor([0.0, 1.0, 3.0, 5.0, 7.0, 8.0])
    )


def test_a_fine_grating_vanishes_instead_of_becoming_a_coarse_one() -> None:
    grating = torch.tensor([-200, 200], dtype=torch.int16).repeat(64)
    hu = grating.expand(2, 8, 128).contiguous()
    axes = (Axis(length=2, ratio=1.0), Axis(length=8, ratio=4.0), Axis(length=128, ratio=4.0))
    assert to_model_voxels(hu, axes).abs().max() < 1e-3


@pytest.mark.parametrize("ratio", [0.4, 0.5, 1.0, 1.3, 2.5, 3.9996, 4.0])
def test_a_ramp_comes_back_as_the_same_ramp(ratio: float) -> None:
    """Any shift by a part of a voxel would show; shares of voxels may wobble by a fifteenth of one, never one way."""
    axis = Axis(length=120, ratio=ratio)
    there = axis.to_model() @ torch.arange(120, dtype=torch.float32)
    back = axis.from_model(0, 120, model_first=0, model_stop=axis.model_length) @ there
    offset = (back - torch.arange(120))[8:112]
    assert offset.abs().max() < (1e-3 if ratio in {0.5, 1.0, 4.0} else 0.07)
    assert offset.mean().abs() < 2e-3


@pytest.mark.parametrize("ratio", [0.4, 1.0, 2.5, 3.9996])
def test_reached_holds_every_voxel_that_a_model_voxel_touches(ratio: float) -> None:
    axis = Axis(length=50, ratio=ratio)
    weights = axis.from_model(0, 50, model_first=0, model_stop=axis.model_length)
    for first in range(axis.model_length):
        for stop in range(first + 1, min(first + 3, axis.model_length) + 1):
            touched = torch.nonzero(weights[:, first:stop].sum(dim=1) > 1e-5).flatten().tolist()
            begin, end = axis.reached(first, stop)
            assert all(begin <= voxel < end for voxel in touched), (first, stop)


def test_slabs_together_are_the_whole_interpolation() -> None:
    rng = torch.Generator().manual_seed(3)
    values = torch.rand((5, 6, 7), generator=rng)
    weights = tuple(
        Axis(length=n, ratio=n / m).from_model(0, n, model_first=0, model_stop=m)
        for n, m in ((37, 5), (12, 6), (15, 7))
    )
    whole = torch.einsum("az,by,cx,zyx->abc", *weights, values)
    slabs = list(interpolated_slabs(values, (weights[0], weights[1], weights[2])))
    assert [slab.start for slab, _ in slabs] == [0, 16, 32]
    assert torch.allclose(torch.cat([part for _, part in slabs]), whole, atol=1e-5)


def test_values_outside_the_scale_are_clipped_before_they_are_averaged() -> None:
    hu = torch.full((1, 4, 4), -1000, dtype=torch.int16)
    hu[0, 0, 0] = 32000
    hu[0, 3, 3] = -32000
    axes = (Axis(length=1, ratio=1.0), Axis(length=4, ratio=4.0), Axis(length=4, ratio=4.0))
    assert to_model_voxels(hu, axes).item() == pytest.approx((3095 - 15 * 1000) / 16)
    assert np.isclose(
        to_model_voxels(hu, (Axis(length=1, ratio=1.0),) + (Axis(length=4, ratio=1.0),) * 2).max(), 3095
    )

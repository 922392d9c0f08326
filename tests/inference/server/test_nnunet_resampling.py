"""Logits on the image's voxels against an independent interpolation; a box of them is that part of the whole."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from inference.contract.nnunet import Resampling
from inference.server.nnunet.resampling import LogitResampler, Slices, reached

LINEAR = Resampling(order=1)
# From the network's voxels to the image's: finer, coarser, mixed, one axis that stays.
SHAPES = [
    ((7, 9, 8), (13, 20, 17)),
    ((14, 20, 19), (5, 9, 8)),
    ((6, 21, 10), (17, 8, 10)),
    ((1, 4, 5), (3, 4, 9)),
]


def logits(shape: tuple[int, ...]) -> NDArray[np.float16]:
    return np.random.default_rng(sum(shape)).normal(0, 3, shape).astype(np.float16)


def by_scipy(values: NDArray[np.float16], wanted: tuple[int, ...], apart: int | None) -> NDArray[np.float64]:
    """Centres of voxels on the same extent 0..1 a axis; beyond the outermost centres their values are repeated."""
    padded = np.pad(values.astype(np.float64), 1, mode="edge")
    axes = [np.array([-1.0, *((np.arange(n) + 0.5) / n), 2.0]) for n in values.shape]
    places = [(np.arange(n) + 0.5) / n for n in wanted]
    if apart is not None:
        centres = axes[apart][1:-1]
        away = np.abs(places[apart][:, None] - centres) - 1e-9 * np.arange(
            len(centres)
        )  # of two as near the later
        places[apart] = centres[away.argmin(axis=1)]
    return np.asarray(RegularGridInterpolator(axes, padded)(tuple(np.meshgrid(*places, indexing="ij"))))


def boxes(shape: tuple[int, ...]) -> list[Slices]:
    """The whole, the first and the last voxel, and parts drawn at random."""
    rng = np.random.default_rng(5)
    drawn = [
        tuple(slice(int(a), int(rng.integers(a, n)) + 1) for n in shape for a in [rng.integers(0, n)])
        for _ in range(20)
    ]
    ends = [tuple(slice(0, 1) for _ in shape), tuple(slice(n - 1, n) for n in shape)]
    return [tuple(slice(0, n) for n in shape), *ends, *drawn]


@pytest.mark.parametrize(("shape", "wanted"), SHAPES)
@pytest.mark.parametrize("apart", [None, 0])
def test_a_box_of_logits_is_that_part_of_the_whole(
    shape: tuple[int, ...], wanted: tuple[int, ...], apart: int | None
) -> None:
    resampler, values = LogitResampler(shape, wanted, LINEAR, apart), logits(shape)
    expected = by_scipy(values, wanted, apart)
    for box in boxes(wanted):
        np.testing.assert_allclose(resampler(values, box), expected[box], atol=0.005)


@pytest.mark.parametrize(("shape", "wanted"), SHAPES)
def test_outside_the_box_that_is_reached_nothing_depends_on_the_voxels(
    shape: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    """A 1 in the box and 0 elsewhere; and the box is at most three voxels larger a side than what changes."""
    for box in boxes(shape):
        there = np.zeros(shape, np.float16)
        there[box] = 1
        changed = LogitResampler(shape, wanted, LINEAR, None)(there, tuple(slice(0, n) for n in wanted)) != 0
        for axis, side in enumerate(reached(box, shape, wanted)):
            (found,) = np.nonzero(changed.any(axis=tuple({0, 1, 2} - {axis})))
            if len(found):
                assert 0 <= found[0] - side.start <= 3
                assert 0 <= side.stop - 1 - found[-1] <= 3


def test_voxels_that_stay_are_taken_as_they_are_and_other_orders_are_refused() -> None:
    values = logits((3, 4, 5))
    same = LogitResampler(values.shape, values.shape, LINEAR, None)
    assert not same.is_needed
    part = (slice(1, 3), slice(0, 4), slice(2, 5))
    assert np.array_equal(same(values, part), values[part])
    with pytest.raises(ValueError, match="order 1, not 3"):
        LogitResampler((3, 4, 5), (6, 8, 10), Resampling(order=3), None)

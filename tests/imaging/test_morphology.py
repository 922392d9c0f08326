import numpy as np
import pytest
from scipy import ndimage

from imaging.masks import morphology
from imaging.masks.margins import Margin, contract, expand
from imaging.masks.morphology import (
    enclosed,
    intersection,
    largest_pieces,
    smoothed,
    subtraction,
    union,
    without_holes_in_slices,
    without_holes_in_volume,
    without_pieces_below,
)
from imaging.volumes.volume import Mask
from tests.imaging.small_masks import block, grid, mask, voxels

SHAPE = (7, 9, 11)
ONE = mask(SHAPE, *block(range(1, 4), range(2, 5), range(3, 6)))
OTHER = mask(SHAPE, *block(range(3, 6), range(4, 8), range(5, 10)))
FAR = mask(SHAPE, (6, 8, 10))


def test_sets_are_those_of_the_voxels() -> None:
    assert voxels(union(ONE, OTHER, FAR)) == voxels(ONE) | voxels(OTHER) | voxels(FAR)
    assert voxels(intersection(ONE, OTHER)) == {(3, 4, 5)}
    assert voxels(subtraction(ONE, OTHER, FAR)) == voxels(ONE) - {(3, 4, 5)}
    assert intersection(ONE, FAR).crop_zyx.size == 0
    assert subtraction(ONE, ONE).crop_zyx.size == 0


def test_the_empty_mask_is_neutral_or_takes_all() -> None:
    none = Mask.empty()
    assert voxels(union(none, ONE)) == voxels(union(ONE, none)) == voxels(ONE)
    assert (
        union(none, none).voxels() == intersection(ONE, none).voxels() == subtraction(none, ONE).voxels() == 0
    )
    assert voxels(subtraction(ONE, none)) == voxels(ONE)


def test_results_are_new_arrays() -> None:
    found = union(ONE)
    found.crop_zyx[:] = False
    assert ONE.voxels() == 27


def test_a_hole_in_a_slice_is_filled_and_a_tunnel_in_volume_is_not() -> None:
    tube = mask(SHAPE, *(block(range(1, 5), range(2, 5), range(3, 6)) - block(range(1, 5), [3], [4])))
    assert voxels(without_holes_in_slices(tube)) == block(range(1, 5), range(2, 5), range(3, 6))
    assert voxels(without_holes_in_volume(tube)) == voxels(tube)


def test_a_closed_cavity_is_filled_in_volume() -> None:
    shell = mask(SHAPE, *(block(range(1, 4), range(2, 5), range(3, 6)) - {(2, 3, 4)}))
    assert voxels(without_holes_in_volume(shell)) == block(range(1, 4), range(2, 5), range(3, 6))


def test_a_hole_closed_by_corners_counts_as_closed() -> None:
    diamond = mask(SHAPE, (2, 3, 4), (2, 4, 3), (2, 4, 5), (2, 5, 4))
    assert voxels(without_holes_in_slices(diamond)) == voxels(diamond) | {(2, 4, 4)}


def test_pieces_are_kept_by_size_and_joined_by_corners() -> None:
    pieces = union(ONE, mask(SHAPE, (4, 5, 6)), mask(SHAPE, *block([6], [0, 1], [0, 1, 2])), FAR)
    assert voxels(largest_pieces(pieces)) == voxels(ONE) | {(4, 5, 6)}
    assert voxels(largest_pieces(pieces, 2)) == voxels(ONE) | {(4, 5, 6)} | block([6], [0, 1], [0, 1, 2])
    assert voxels(largest_pieces(pieces, 9)) == voxels(pieces)
    assert largest_pieces(Mask.empty()).voxels() == 0
    with pytest.raises(ValueError, match="1 or more"):
        largest_pieces(pieces, 0)


def test_small_pieces_are_small_in_cc_not_in_voxels() -> None:
    on = grid(SHAPE, (3.0, 1.0, 2.0))  # 6 mm3 a voxel: a piece of 6 voxels has 0.036 cc
    pieces = union(ONE, mask(SHAPE, *block([6], [0, 1], [0, 1, 2])), FAR)
    assert voxels(without_pieces_below(pieces, on, 0.036)) == voxels(pieces) - voxels(FAR)
    assert voxels(without_pieces_below(pieces, on, 0.0361)) == voxels(ONE)
    assert without_pieces_below(FAR, on, 1.0).crop_zyx.size == 0


def test_smoothing_stays_within_its_limit_and_keeps_the_volume() -> None:
    shape = (20, 40, 30)
    rough = np.random.default_rng(3).random(shape)
    z, y, x = np.ogrid[:20, :40, :30]
    ball = (3 * (z - 9.6)) ** 2 + (y - 19.2) ** 2 + (2 * (x - 14.7)) ** 2 <= 15**2
    source = Mask.from_full(ball & (rough > 0.1))
    on = grid(shape)
    found = smoothed(source, on, 4.0)
    bound = Margin.uniform(4.0)
    assert voxels(contract(source, on, bound)) <= voxels(found) <= voxels(expand(source, on, bound))
    assert found.voxels() == pytest.approx(source.voxels(), rel=0.01)
    assert edges(found.full(shape)) < 0.6 * edges(source.full(shape))


def edges(full: np.ndarray) -> int:
    return int(sum(np.count_nonzero(np.diff(full, axis=axis)) for axis in range(3)))


def test_smoothing_by_nothing_changes_nothing() -> None:
    assert voxels(smoothed(ONE, grid(SHAPE), 0.0)) == voxels(ONE)
    assert smoothed(Mask.empty(), grid(SHAPE), 3.0).voxels() == 0
    with pytest.raises(ValueError, match="0 mm or more"):
        smoothed(ONE, grid(SHAPE), -1.0)


def test_a_single_voxel_survives_smoothing() -> None:
    assert voxels(smoothed(mask(SHAPE, (3, 4, 5)), grid(SHAPE), 3.0)) == {(3, 4, 5)}


@pytest.mark.parametrize("slab_voxels", [1, 3000])
def test_smoothing_slab_by_slab_is_the_same(monkeypatch: pytest.MonkeyPatch, slab_voxels: int) -> None:
    """A real CT has more voxels than one slab, the masks of these tests fewer."""
    shape = (9, 12, 14)
    source, on = Mask.from_full(np.random.default_rng(4).random(shape) < 0.4), grid(shape)
    whole = smoothed(source, on, 4.0)
    monkeypatch.setattr(morphology, "_SLAB_VOXELS", slab_voxels)
    assert voxels(smoothed(source, on, 4.0)) == voxels(whole)


def test_of_pieces_of_one_size_the_first_is_kept() -> None:
    pieces = mask(SHAPE, *((z, y, x) for z in (0, 3, 6) for y in (0, 4, 8) for x in (0, 5, 10)))
    assert voxels(largest_pieces(pieces)) == {(0, 0, 0)}
    assert voxels(largest_pieces(pieces, 2)) == {(0, 0, 0), (0, 0, 5)}


def test_smoothing_is_a_gaussian_of_half_the_limit_cut_where_the_number_of_voxels_stays() -> None:
    """Against the whole Gaussian in floating point: the same voxels but where 255ths tie."""
    shape, spacing = (15, 30, 24), (3.0, 1.0, 2.0)
    z, y, x = np.ogrid[:15, :30, :24]
    source = Mask.from_full((abs(z - 7) <= 3) & (abs(y - 15) <= 8) & (abs(x - 12) <= 5))
    exact = ndimage.gaussian_filter(
        source.full(shape).astype(float), np.divide(2.0, spacing), mode="constant"
    )
    level = np.sort(exact.ravel())[-source.voxels()]
    found = smoothed(source, grid(shape, spacing), 4.0).full(shape)
    differing = found != (exact >= level)
    assert np.abs(exact[differing] - level).max(initial=0) < 1.5 / 255


def test_a_cavity_open_at_any_face_of_the_array_is_open() -> None:
    shell = np.ones((5, 5, 5), bool)
    shell[1:4, 1:4, 1:4] = False
    assert enclosed(shell).sum() == 27
    for place in ((0, 2, 2), (4, 2, 2), (2, 0, 2), (2, 4, 2), (2, 2, 0), (2, 2, 4)):
        opened = shell.copy()
        opened[place] = False
        assert not enclosed(opened).any()

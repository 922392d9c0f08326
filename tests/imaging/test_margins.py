import numpy as np
import pytest
import SimpleITK as sitk

from imaging.masks import margins
from imaging.masks.margins import Margin, contract, expand, is_cut, keep_away, keep_inside, ring
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask
from tests.imaging.small_masks import POSITIONS, block, grid, mask, voxels

SHAPE = (9, 13, 11)
MIDDLE = (4, 6, 5)


def brute_force(source: Mask, on: Grid, margin: Margin) -> set[tuple[int, int, int]]:
    """The definition, pair by pair: a centre in the eight-octant ellipsoid round a centre of the mask."""
    index = np.argwhere(np.ones(on.shape_zyx, bool))
    centres, seeds = on.points_lps(index), on.points_lps(sorted(voxels(source)))
    offset = centres[:, None, :] - seeds[None, :, :]
    low = np.array([margin.right_mm, margin.anterior_mm, margin.inferior_mm])
    high = np.array([margin.left_mm, margin.posterior_mm, margin.superior_mm])
    semi = np.where(offset > 0, high, low)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(np.abs(offset) < 1e-9, 0.0, (offset / semi) ** 2)
    inside = (terms.sum(axis=2) <= 1 + 1e-5).any(axis=1)
    return {(int(z), int(y), int(x)) for z, y, x in index[inside]}


def random_mask(seed: int, share: float = 0.02, shape: tuple[int, int, int] = SHAPE) -> Mask:
    return Mask.from_full(np.random.default_rng(seed).random(shape) < share)


def test_one_voxel_grows_along_each_axis_by_what_the_spacing_allows() -> None:
    # spacing (3, 1, 2): 4 mm is 1 slice, 4 rows, 2 columns, and of the ellipsoid's inside (dz, dy, dx) with
    # (3 dz)^2 + dy^2 + (2 dx)^2 <= 16
    found = voxels(expand(mask(SHAPE, MIDDLE), grid(SHAPE), Margin.uniform(4.0)))
    expected = {
        (4 + dz, 6 + dy, 5 + dx)
        for dz in (-1, 0, 1)
        for dy in range(-4, 5)
        for dx in (-2, -1, 0, 1, 2)
        if 9 * dz * dz + dy * dy + 4 * dx * dx <= 16
    }
    assert found == expected
    assert len(found) == 9 + 2 * 7 + 2 * 1 + 2 * (5 + 2 * 3)


def test_a_3_4_5_triangle_lies_on_the_ellipsoid() -> None:
    on = grid(SHAPE, (3.0, 4.0, 50.0))
    found = voxels(expand(mask(SHAPE, MIDDLE), on, Margin.uniform(5.0)))
    assert found == {
        MIDDLE,
        (5, 6, 5),
        (3, 6, 5),
        (4, 7, 5),
        (4, 5, 5),
        (5, 7, 5),
        (5, 5, 5),
        (3, 7, 5),
        (3, 5, 5),
    }


@pytest.mark.parametrize("position", POSITIONS)
def test_directions_are_the_patients_in_every_position(position: str) -> None:
    on = grid(SHAPE, (1.0, 1.0, 1.0), POSITIONS[position])
    margin = Margin(left_mm=3, right_mm=1, anterior_mm=2, posterior_mm=0, superior_mm=4, inferior_mm=1)
    found = on.points_lps(sorted(voxels(expand(mask(SHAPE, MIDDLE), on, margin)))) - on.points_lps(MIDDLE)
    assert np.allclose(found.max(axis=0), (3, 0, 4)), "left, posterior, superior"
    assert np.allclose(found.min(axis=0), (-1, -2, -1)), "right, anterior, inferior"


@pytest.mark.parametrize("position", ["HFS", "FFP", "HFDR"])
@pytest.mark.parametrize("seed", range(3))
def test_unequal_margins_are_the_definition_voxel_for_voxel(seed: int, position: str) -> None:
    on = grid(SHAPE, (3.0, 1.0, 2.0), POSITIONS[position])
    sizes = np.random.default_rng(seed).uniform(0, 7, 6)
    names = ("left_mm", "right_mm", "anterior_mm", "posterior_mm", "superior_mm", "inferior_mm")
    margin = Margin(**dict(zip(names, map(float, sizes), strict=True)))
    source = random_mask(seed)
    assert voxels(expand(source, on, margin)) == brute_force(source, on, margin)


@pytest.mark.parametrize("margin_mm", [0.0, 0.9, 2.0, 3.0, 5.0, 7.3])
@pytest.mark.parametrize("seed", range(3))
def test_equal_margins_are_those_of_a_distance_map(seed: int, margin_mm: float) -> None:
    shape, spacing = (12, 30, 25), (3.0, 1.0, 2.0)
    source = random_mask(seed, 0.004, shape)
    image = sitk.GetImageFromArray(source.full(shape).astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    distance = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))
    expected = (distance <= margin_mm + 1e-4) | source.full(shape)
    found = expand(source, grid(shape, spacing), Margin.uniform(margin_mm))
    assert np.array_equal(found.full(shape), expected)


def test_a_contraction_is_the_expansion_of_the_outside() -> None:
    shape = (14, 24, 20)
    source = Mask.from_full(np.random.default_rng(5).random(shape) < 0.995)
    on, margin = (
        grid(shape),
        Margin(left_mm=4, right_mm=0, anterior_mm=2, posterior_mm=3, superior_mm=6, inferior_mm=3),
    )
    padded = np.pad(source.full(shape), 8)
    outside, wide = Mask.from_full(~padded), grid(padded.shape)  # type: ignore[arg-type]
    reached = expand(outside, wide, margin.reversed()).full(padded.shape)  # type: ignore[arg-type]
    expected = (padded & ~reached)[8:-8, 8:-8, 8:-8]
    assert np.array_equal(contract(source, on, margin).full(shape), expected)


def test_the_left_margin_of_a_contraction_takes_from_the_left_side() -> None:
    on = grid(SHAPE, (1.0, 1.0, 1.0))
    source = mask(SHAPE, *block(range(3, 6), range(3, 6), range(2, 9)))
    found = voxels(contract(source, on, Margin(left_mm=2, superior_mm=1)))
    assert found == block(range(3, 5), range(3, 6), range(2, 7)), "x grows to the left, z to the head"


def test_expansion_then_contraction_gives_a_block_back() -> None:
    on = grid(SHAPE)
    source = mask(SHAPE, *block(range(4, 6), range(5, 8), range(4, 7)))
    margin = Margin(left_mm=4, right_mm=2, anterior_mm=3, posterior_mm=1, superior_mm=3, inferior_mm=6)
    back = contract(expand(source, on, margin), on, margin.reversed().reversed())
    assert voxels(source) <= voxels(back)


def test_an_expansion_ends_at_the_grid_and_says_so() -> None:
    on = grid(SHAPE)
    source = mask(SHAPE, (0, 6, 5))
    found = expand(source, on, Margin.uniform(6.0))
    assert found.start_zyx[0] == 0
    assert is_cut(source, on, Margin.uniform(6.0))
    assert not is_cut(source, on, Margin(superior_mm=6.0))
    assert not is_cut(Mask.empty(), on, Margin.uniform(6.0))


def test_a_mask_at_the_edge_is_contracted_there_too() -> None:
    on = grid((3, 5, 5), (1.0, 1.0, 1.0))
    whole = Mask.from_full(np.ones((3, 5, 5), bool))
    assert voxels(contract(whole, on, Margin.uniform(1.0))) == block([1], range(1, 4), range(1, 4))


def test_what_is_left_inside_another_structure_keeps_the_distance() -> None:
    on = grid(SHAPE, (1.0, 1.0, 1.0))
    body = mask(SHAPE, *block(range(9), range(2, 11), range(1, 9)))
    target = mask(SHAPE, *block(range(2, 6), range(6), range(3, 11)))
    assert voxels(keep_inside(target, body, on, 0.0)) == block(range(2, 6), range(2, 6), range(3, 9))
    assert voxels(keep_inside(target, body, on, 2.0)) == block(range(2, 6), range(4, 6), range(3, 7))
    assert keep_inside(target, Mask.empty(), on, 1.0).voxels() == 0


def test_what_is_left_away_from_another_structure_keeps_the_distance() -> None:
    on = grid(SHAPE)
    organ, target = mask(SHAPE, *block([4], [6], range(11))), mask(SHAPE, (4, 6, 2))
    assert voxels(keep_away(organ, target, on, 0.0)) == block([4], [6], {0, 1, *range(3, 11)})
    assert voxels(keep_away(organ, target, on, 4.0)) == block([4], [6], range(5, 11)), "columns of 2 mm"
    assert voxels(keep_away(organ, Mask.empty(), on, 4.0)) == voxels(organ)


def test_a_ring_lies_between_two_distances() -> None:
    on = grid(SHAPE, (50.0, 1.0, 50.0))
    source = mask(SHAPE, *block([4], range(5, 8), [5]))
    assert voxels(ring(source, on, 0.0, 2.0)) == block([4], {3, 4, 8, 9}, [5])
    assert voxels(ring(source, on, 1.0, 3.0)) == block([4], {2, 3, 9, 10}, [5])
    cube = mask(SHAPE, *block(range(2, 7), range(2, 7), range(2, 7)))
    wall = ring(cube, grid(SHAPE, (1.0, 1.0, 1.0)), -1.0, 0.0)
    assert voxels(wall) == voxels(cube) - block(range(3, 6), range(3, 6), range(3, 6))
    with pytest.raises(ValueError, match="no width"):
        ring(source, on, 3.0, 3.0)


def test_the_empty_mask_stays_empty() -> None:
    on, margin = grid(SHAPE), Margin.uniform(5.0)
    for found in (
        expand(Mask.empty(), on, margin),
        contract(Mask.empty(), on, margin),
        ring(Mask.empty(), on, 1, 5),
    ):
        assert found.voxels() == 0


def test_what_is_no_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="left_mm"):
        Margin(left_mm=-1.0)
    with pytest.raises(ValueError, match="superior_mm"):
        Margin(superior_mm=float("nan"))


@pytest.mark.parametrize("spacing", [(2.5, 0.977, 0.977), (3.0, 1.0, 1.0), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("margin_mm", [3.0, 6.0, 8.0])
def test_a_ball_grows_to_the_larger_ball_within_half_a_voxel(
    spacing: tuple[float, float, float], margin_mm: float
) -> None:
    shape = tuple(int(92 / s) for s in spacing)
    on = grid((shape[0], shape[1], shape[2]), spacing)

    def ball(radius_mm: float) -> Mask:
        squared = [(np.arange(n) * s - 45.7) ** 2 for n, s in zip(shape, spacing, strict=True)]
        full = squared[0][:, None, None] + squared[1][:, None] + squared[2] <= radius_mm**2
        return Mask.from_full(full)

    def radius_mm(found: Mask) -> float:
        return float((found.voxels() * on.voxel_volume_mm3 * 3 / 4 / np.pi) ** (1 / 3))

    grown = expand(ball(30.0), on, Margin.uniform(margin_mm))
    wanted = ball(30.0 + margin_mm)
    assert -0.5 * on.voxel_volume_mm3 ** (1 / 3) < radius_mm(grown) - radius_mm(wanted) <= 0
    assert voxels(grown) <= voxels(wanted), "never beyond the margin"


@pytest.mark.parametrize("slab_voxels", [1, 3 * 13 * 11])
def test_slab_by_slab_an_expansion_is_the_same(monkeypatch: pytest.MonkeyPatch, slab_voxels: int) -> None:
    """A real CT has more voxels than one slab, the masks of these tests fewer."""
    on, source = grid(SHAPE, (1.0, 1.0, 2.0)), random_mask(7)
    margin = Margin(left_mm=3, right_mm=2, anterior_mm=1, posterior_mm=2, superior_mm=4, inferior_mm=2.5)
    monkeypatch.setattr(margins, "_SLAB_VOXELS", slab_voxels)
    assert voxels(expand(source, on, margin)) == brute_force(source, on, margin)


@pytest.mark.parametrize("position", ["HFS", "FFP"])
def test_an_expansion_is_cut_where_it_needs_one_voxel_more_than_there_is(position: str) -> None:
    on, source = grid(SHAPE, (1.0, 1.0, 1.0), POSITIONS[position]), mask(SHAPE, MIDDLE)
    room_mm = (4, 6, 5)  # to either end: the middle voxel of 9, 13 and 11
    across = (("superior_mm", "inferior_mm"), ("anterior_mm", "posterior_mm"), ("left_mm", "right_mm"))
    for room, names in zip(room_mm, across, strict=True):
        for name in names:
            assert not is_cut(source, on, Margin(**{name: room}))
            assert is_cut(source, on, Margin(**{name: room + 1}))


def test_spacings_that_binary_fractions_do_not_hold_lose_no_voxel() -> None:
    on = grid((1, 1, 11), (1.0, 1.0, 0.2))  # 0.6 / 0.2 is 2.9999999999999996
    found = expand(mask((1, 1, 11), (0, 0, 5)), on, Margin(left_mm=0.6, right_mm=0.6))
    assert voxels(found) == block([0], [0], range(2, 9))


def test_on_axes_without_a_nearest_direction_only_equal_margins_are_known() -> None:
    axes = ((2 / 3, 2 / 3, -1 / 3), (2 / 3, -1 / 3, 2 / 3), (-1 / 3, 2 / 3, 2 / 3))
    on, source = grid(SHAPE, (1.0, 1.0, 1.0), axes), mask(SHAPE, MIDDLE)
    assert expand(source, on, Margin.uniform(1.0)).voxels() == 7
    with pytest.raises(ValueError, match="no nearest patient direction"):
        expand(source, on, Margin(left_mm=1.0))


def test_an_endless_margin_is_refused() -> None:
    with pytest.raises(ValueError, match="anterior_mm"):
        Margin(anterior_mm=float("inf"))

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from imaging.contours import crossings
from imaging.contours.areas import area_vectors, areas
from imaging.contours.boundary import (
    ProbabilityField,
    decimated_contours,
    half_voxel_mm,
    smooth_contours,
)
from imaging.contours.crossings import in_contact
from imaging.contours.decimation import Chains, decimated
from imaging.contours.exact import PlanarContour, contours
from imaging.contours.hole_encoding import HoleEncoding
from imaging.contours.rasterise import rasterise
from imaging.contours.smoothing import around
from imaging.contours.structure_set import GeometricType
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

BOUNDED = settings(max_examples=40, deadline=None)
MASKS = arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9))


def grid(shape: tuple[int, ...]) -> Grid:
    z, y, x = shape
    return Grid(
        shape_zyx=(z, y, x),
        origin_lps=(-37.25, 12.5, 203.0),
        spacing_zyx_mm=(3.0, 1.25, 0.75),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )


def disc(radius_mm: float = 14.0, hole_mm: float = 0.0) -> NDArray[np.bool_]:
    y, x = np.mgrid[:40, :60]
    away = np.hypot((y - 19.3) * 1.25, (x - 30.2) * 0.75)
    return ((away <= radius_mm) & (away >= hole_mm))[None]


def area_mm2(found: list[PlanarContour]) -> float:
    """Signed: holes of their own run the other way round."""
    total = 0.0
    for contour in found:
        x, y = contour.points_lps[:, :2].T
        total += float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    return abs(total)


def off_mm(points: NDArray[np.float64], polygon: NDArray[np.float64]) -> float:
    """The largest distance of points from the edges of a closed polygon."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    along = end - start
    length = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip(((points[:, None] - start) * along).sum(axis=2) / length, 0, 1)
    return float(np.linalg.norm(points[:, None] - start - share[..., None] * along, axis=2).min(axis=1).max())


def dense(polygon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points along the edges, a tenth of an edge apart."""
    end = np.roll(polygon, -1, axis=0)
    return np.concatenate([polygon + share * (end - polygon) for share in np.arange(0, 1, 0.1)])


@pytest.mark.parametrize(("tolerance_mm", "share"), [(0.36, 0.95), (0.5, 0.7), (1.0, 0.4), (2.0, 0.4)])
def test_a_decimated_disc_lies_within_the_tolerance_both_ways(tolerance_mm: float, share: float) -> None:
    lattice = grid((1, 40, 60))
    mask = Mask.from_full(disc())
    (exact,), (fewer,) = contours(mask, lattice), decimated_contours(mask, lattice, tolerance_mm)
    assert off_mm(dense(exact.points_lps), fewer.points_lps) <= tolerance_mm + 1e-9
    assert off_mm(dense(fewer.points_lps), exact.points_lps) <= tolerance_mm + 1e-9
    assert 3 <= len(fewer.points_lps) < share * len(exact.points_lps)
    assert area_mm2([fewer]) == pytest.approx(area_mm2([exact]), rel=0.05)


def test_a_tolerance_that_cuts_no_corner_leaves_the_outline() -> None:
    lattice, mask = grid((1, 40, 60)), Mask.from_full(disc())
    corner_mm = 1.25 * 0.75 / math.hypot(1.25, 0.75) / 2
    (found,), (exact,) = decimated_contours(mask, lattice, corner_mm), contours(mask, lattice)
    assert np.array_equal(found.points_lps, exact.points_lps)


@pytest.mark.parametrize("holes", HoleEncoding)
def test_holes_stay_hollow(holes: HoleEncoding) -> None:
    lattice, full = grid((1, 40, 60)), disc(hole_mm=6.0)
    full[0, 19, 30] = True  # an island in the hole
    for found in (
        decimated_contours(Mask.from_full(full), lattice, 0.37, holes),
        smooth_contours(Mask.from_full(full), lattice, holes=holes),
    ):
        assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)
        assert len(found) == (2 if holes is HoleEncoding.KEYHOLE else 3)
        xor = holes is HoleEncoding.XOR
        assert {c.geometric_type for c in found} == {
            GeometricType.CLOSEDPLANAR_XOR if xor else GeometricType.CLOSED_PLANAR
        }


@given(full=MASKS, share=st.floats(0.6, 0.98), holes=st.sampled_from(HoleEncoding))
@BOUNDED
def test_decimation_below_half_a_voxel_gives_the_same_mask(
    full: NDArray[np.bool_], share: float, holes: HoleEncoding
) -> None:
    lattice = grid(full.shape)
    found = decimated_contours(Mask.from_full(full), lattice, share * half_voxel_mm(lattice), holes)
    assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)
    assert all(len(contour.points_lps) >= 3 for contour in found)


@given(full=MASKS, tolerance_mm=st.floats(0.4, 3.0))
@BOUNDED
def test_decimation_never_changes_areas_or_tangles(full: NDArray[np.bool_], tolerance_mm: float) -> None:
    lattice, mask = grid(full.shape), Mask.from_full(full)
    exact = contours(mask, lattice, HoleEncoding.NESTED)
    found = decimated_contours(mask, lattice, tolerance_mm, HoleEncoding.NESTED)
    assert len(found) == len(exact)
    for one, other in zip(found, exact, strict=True):
        assert len(one.points_lps) >= 3
        assert area_mm2([one]) == pytest.approx(area_mm2([other]), rel=0.05)
    for k in {contour.slice_index for contour in found}:
        pairs = [(a, b) for a, b in zip(found, exact, strict=True) if a.slice_index == k]
        drawn = [a.points_lps[:, :2] for a, _ in pairs]
        fewer = np.array([len(a.points_lps) < len(b.points_lps) for a, b in pairs])
        assert not in_contact(drawn, fewer)


@given(full=MASKS, holes=st.sampled_from(HoleEncoding))
@BOUNDED
def test_smoothing_gives_the_same_mask(full: NDArray[np.bool_], holes: HoleEncoding) -> None:
    lattice = grid(full.shape)
    found = smooth_contours(Mask.from_full(full), lattice, holes=holes)
    assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)


@given(full=MASKS, tolerance_mm=st.sampled_from([0.05, 0.1, 0.2]))
@settings(max_examples=60, deadline=None)
def test_a_smooth_outline_is_decimated_within_the_tolerance_both_ways(
    full: NDArray[np.bool_], tolerance_mm: float
) -> None:
    lattice, mask, nested = grid(full.shape), Mask.from_full(full), HoleEncoding.NESTED
    whole = smooth_contours(mask, lattice, holes=nested)
    fewer = smooth_contours(mask, lattice, holes=nested, tolerance_mm=tolerance_mm)
    for one, other in zip(whole, fewer, strict=True):
        assert off_mm(dense(one.points_lps), other.points_lps) <= tolerance_mm + 1e-6
        assert off_mm(dense(other.points_lps), one.points_lps) <= tolerance_mm + 1e-6


def test_a_smooth_disc_lies_within_half_a_diagonal_both_ways_and_keeps_its_area() -> None:
    lattice, mask = grid((1, 40, 60)), Mask.from_full(disc())
    (exact,), (smooth,) = contours(mask, lattice), smooth_contours(mask, lattice)
    half_diagonal_mm = math.hypot(1.25, 0.75) / 2
    assert off_mm(dense(exact.points_lps), smooth.points_lps) <= half_diagonal_mm
    assert off_mm(dense(smooth.points_lps), exact.points_lps) <= half_diagonal_mm
    assert area_mm2([smooth]) == pytest.approx(area_mm2([exact]), rel=0.002)


def test_a_probability_moves_the_edge_to_where_it_is_one_half() -> None:
    full = np.zeros((1, 12, 14), np.bool_)
    full[0, 3:9, 4:10] = True
    values = np.where(full, 0.8, 0.0).astype(np.float32)
    values[0, 3:9, 10] = (
        0.4  # between the centres of columns 9 (0.8) and 10 (0.4): one half is 3/4 of the way
    )
    lattice = grid(full.shape)
    (found,) = smooth_contours(
        Mask.from_full(full), lattice, field=ProbabilityField(crop_zyx=values, start_zyx=(0, 0, 0))
    )
    index = lattice.index_zyx(found.points_lps)
    right = index[(index[:, 1] > 4) & (index[:, 1] < 7) & (index[:, 2] > 8)]
    assert right[:, 2] == pytest.approx(9.75)
    left = index[(index[:, 1] > 4) & (index[:, 1] < 7) & (index[:, 2] < 5)]
    assert left[:, 2] == pytest.approx(4 - 0.375)  # 0.8 to 0: 3/8 of the way


def test_a_probability_brings_the_outline_of_a_sphere_to_its_true_surface() -> None:
    """A ball of 20 mm, voxels of 3 x 1.25 x 0.75 mm; the probability falls from 0.73 to 0.27 within 2 mm."""
    lattice = grid((20, 60, 90))
    centre, radius_mm = lattice.points_lps((9.3, 29.2, 44.6)), 20.0
    index = np.stack(np.meshgrid(*(np.arange(n) for n in lattice.shape_zyx), indexing="ij"), axis=-1)
    outside_mm = np.linalg.norm(lattice.points_lps(index) - centre, axis=-1) - radius_mm
    probability = (1 / (1 + np.exp(outside_mm))).astype(np.float32)
    full = probability >= 0.5
    mask = Mask.from_full(full)

    def off_surface_mm(found: list[PlanarContour]) -> tuple[float, float]:
        points = np.concatenate([dense(contour.points_lps) for contour in found])
        off = np.abs(np.linalg.norm(points - centre, axis=1) - radius_mm)
        assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)
        return float(off.mean()), float(off.max())

    exact = off_surface_mm(contours(mask, lattice))
    blurred = off_surface_mm(smooth_contours(mask, lattice))
    sent = ProbabilityField.from_bytes(np.rint(probability * 255).astype(np.uint8), (0, 0, 0))
    fields = (ProbabilityField(crop_zyx=probability, start_zyx=(0, 0, 0)), sent)
    guided = [off_surface_mm(smooth_contours(mask, lattice, field=field)) for field in fields]
    assert exact[0] > 0.15
    assert exact[1] < math.hypot(1.25, 0.75) / 2 + 0.01
    assert blurred[0] < 0.11
    assert blurred[1] < exact[1]
    assert max(mean for mean, _ in guided) < 0.01
    assert max(worst for _, worst in guided) < 0.05


def test_what_is_too_small_for_the_bounds_stays_as_its_voxels() -> None:
    full = np.zeros((3, 9, 9), np.bool_)
    full[0, 4, 4] = True
    for k in range(7):
        full[1, k + 1, k + 1] = True  # a tube of one voxel at 45 degrees: parts that touch at corners
    lattice, mask = grid(full.shape), Mask.from_full(full)
    exact, found = contours(mask, lattice), decimated_contours(mask, lattice, 1.0)
    assert [c.points_lps.tolist() for c in found] == [c.points_lps.tolist() for c in exact]


def test_a_speck_becomes_a_diamond_of_the_same_area() -> None:
    full = np.zeros((2, 9, 9), np.bool_)
    full[0, 4, 4] = True
    for k in range(7):
        full[1, k + 1, k + 1] = True
    lattice = grid(full.shape)
    found = smooth_contours(Mask.from_full(full), lattice)
    assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)
    assert [len(c.points_lps) for c in found] == [4] * 8
    assert [area_mm2([c]) for c in found] == pytest.approx([1.25 * 0.75] * 8, rel=0.01)
    assert not in_contact([c.points_lps[:, :2] for c in found[1:]], np.ones(7, np.bool_))


def test_an_empty_mask_has_no_outline() -> None:
    lattice = grid((2, 3, 4))
    assert decimated_contours(Mask.empty(), lattice, 1.0) == []
    assert smooth_contours(Mask.empty(), lattice) == []


def test_contact_is_found_inside_and_between_polygons() -> None:
    square = np.array([(0.0, 0.0), (0.0, 4.0), (4.0, 4.0), (4.0, 0.0)])
    eight = np.array([(0.0, 0.0), (4.0, 4.0), (0.0, 4.0), (4.0, 0.0)])
    assert not in_contact([square, square + 5], np.array([True, True]))
    assert in_contact([square, square + 4], np.array([True, False]))
    assert not in_contact([square, square + 4], np.array([False, False]))
    assert in_contact([eight], np.array([True]))


def test_half_a_voxel_is_in_plane_however_thin_the_slices_are() -> None:
    thin = Grid(
        shape_zyx=(1, 1, 1),
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=(0.5, 1.25, 0.75),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    assert half_voxel_mm(thin) == 0.375


def test_without_holes_no_polygon_is_of_the_type_for_them() -> None:
    lattice, mask, xor = grid((1, 40, 60)), Mask.from_full(disc()), HoleEncoding.XOR
    found = [
        *contours(mask, lattice, xor),
        *decimated_contours(mask, lattice, 0.5, xor),
        *smooth_contours(mask, lattice, holes=xor),
    ]
    assert [contour.geometric_type for contour in found] == [GeometricType.CLOSED_PLANAR] * 3


def test_of_a_probability_in_bytes_one_half_lies_between_127_and_128() -> None:
    sent = ProbabilityField.from_bytes(np.array([[[0, 127, 128, 255]]], np.uint8), (3, 4, 5))
    assert sent.crop_zyx.ravel() == pytest.approx([0, 127 / 255, 128 / 255, 1])
    assert sent.crop_zyx[0, 0, 1] < 0.5 < sent.crop_zyx[0, 0, 2]
    assert sent.start_zyx == (3, 4, 5)


@pytest.mark.parametrize("where", [(0, 0, 0), (1, 2, 3), (0, 4, 4), (2, 5, 6), (0, 12, 0)])
def test_a_probability_is_read_where_it_lies_and_is_0_elsewhere(where: tuple[int, int, int]) -> None:
    crop = np.random.default_rng(2).random((3, 5, 6)).astype(np.float32)
    whole = np.zeros((8, 20, 20), np.float32)
    z, y, x = where
    whole[z : z + 3, y : y + 5, x : x + 6] = crop
    mask = Mask(crop_zyx=np.ones((2, 4, 4), np.bool_), start_zyx=(1, 3, 5))
    found = around(ProbabilityField(crop_zyx=crop, start_zyx=where), mask)
    assert np.array_equal(found, whole[1:3, 2:8, 4:10])


def test_a_probability_moves_no_edge_nearer_than_a_twentieth_to_a_centre() -> None:
    full = np.zeros((1, 20, 20), np.bool_)
    full[0, 3:17, 3:17] = True
    lattice, mask = grid(full.shape), Mask.from_full(full)
    for column, value, edge in ((16, 0.5001, 16.05), (17, 0.4999, 16.95)):
        crop = full.astype(np.float32)
        crop[0, 3:17, column] = value
        field = ProbabilityField(crop_zyx=crop, start_zyx=(0, 0, 0))
        (found,) = smooth_contours(mask, lattice, field=field)
        index = lattice.index_zyx(found.points_lps)
        right = index[(index[:, 1] > 5) & (index[:, 1] < 15) & (index[:, 2] > 10)]
        assert right[:, 2] == pytest.approx(edge)
        assert np.array_equal(rasterise([found], lattice).full(lattice.shape_zyx), full)


def test_chains_that_do_not_add_up_are_refused() -> None:
    points, three = np.zeros((3, 2)), np.ones(3, np.bool_)
    assert len(Chains(points=points, candidates=three, counts=np.array([3])).split()) == 1
    with pytest.raises(ValueError, match="3 points in chains of 4"):
        Chains(points=points, candidates=three, counts=np.array([3, 1]))
    with pytest.raises(ValueError, match="3 points"):
        Chains(points=points, candidates=three[:2], counts=np.array([3]))


@pytest.mark.parametrize("pairs", [1, 2, 7])
def test_contact_is_found_in_every_block_of_pairs(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    """Large structures have more pairs than one block holds."""
    monkeypatch.setattr(crossings, "_PAIRS", pairs)
    square = np.array([(0.0, 0.0), (0.0, 4.0), (4.0, 4.0), (4.0, 0.0)])
    row = [square + np.array([0, 5 * k]) for k in range(6)]
    checked = np.ones(7, np.bool_)
    for k in range(6):
        assert in_contact([*row, square + np.array([3, 5 * k + 0.5])], checked)
    assert not in_contact([*row, square + np.array([5, 0])], checked)


def test_points_a_millionth_of_a_millimetre_apart_do_not_touch() -> None:
    square = np.array([(0.0, 0.0), (0.0, 4.0), (4.0, 4.0), (4.0, 0.0)])
    both = np.array([True, True])
    assert in_contact([square, square + np.array([4, 0])], both)
    assert not in_contact([square, square + np.array([4 + 1e-6, 0])], both)


def test_an_area_has_its_sign_and_a_plane_polygon_its_normal() -> None:
    triangle = np.array([(10.0, 10.0), (13.0, 10.0), (10.0, 14.0)])
    assert areas([triangle[:, ::-1], triangle[::-1, ::-1]]).tolist() == [6.0, -6.0]  # points are (y, x)
    assert areas([]).shape == (0,)
    assert area_vectors([]).shape == (0, 3)
    flat = np.insert(triangle, 2, 7.0, axis=1)
    assert area_vectors([flat, flat[:, [1, 2, 0]], flat[:, [2, 0, 1]]]).tolist() == [
        [0, 0, 6], [0, 6, 0], [6, 0, 0],
    ]  # fmt: skip


def test_a_smooth_outline_whose_area_would_change_is_decimated_at_a_smaller_tolerance() -> None:
    fine = replace(grid((1, 40, 60)), spacing_zyx_mm=(3.0, 0.2, 0.2))
    y, x = np.mgrid[:40, :60]
    mask = Mask.from_full((np.hypot(y - 19.3, x - 30.2) <= 4.0)[None])
    tolerance_mm = 0.2
    (smooth,), (fewer,) = (smooth_contours(mask, fine, tolerance_mm=mm) for mm in (0.0, tolerance_mm))
    plane = smooth.points_lps[:, :2]
    every = Chains(points=plane, candidates=np.ones(len(plane), np.bool_), counts=np.array([len(plane)]))
    (at_once,) = decimated(every, np.array([tolerance_mm]))
    (whole, coarse) = np.abs(areas([plane, at_once]))
    assert coarse < 0.95 * whole, "the tolerance asked for breaks the bound of areas"
    assert area_mm2([fewer]) == pytest.approx(whole, rel=0.05)
    assert 3 <= len(fewer.points_lps) < len(plane)
    assert off_mm(dense(smooth.points_lps), fewer.points_lps) <= tolerance_mm / 4 + 1e-9
    assert off_mm(dense(fewer.points_lps), smooth.points_lps) <= tolerance_mm / 4 + 1e-9


@pytest.mark.parametrize("behind", [(-3.0, 0.0), (-3.0, -0.5)], ids=["before its start", "past its end"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_point_beyond_the_end_of_its_edge_is_as_far_off_as_from_that_end(
    behind: tuple[float, float], turned: bool
) -> None:
    """From (0, 0) to (10, 0) and back: a point 3 mm behind (0, 0) lies on the edge's line, and not on the edge."""
    first, last = ([behind], []) if behind[1] == 0 else ([], [behind])
    points = np.array([(0.0, 0.0), *first, (0.0, 0.2), (10.0, 0.0), (5.0, -0.5), *last])
    points = np.roll(points[::-1], 1, axis=0) if turned else points
    every = Chains(points=points, candidates=np.ones(len(points), np.bool_), counts=np.array([len(points)]))
    (kept,) = decimated(every, np.array([1.0]))
    assert behind in [(float(x), float(y)) for x, y in kept]
    assert (10.0, 0.0) in [(float(x), float(y)) for x, y in kept]


@BOUNDED
@given(
    arrays(np.float64, st.tuples(st.integers(3, 12), st.just(2)), elements=st.integers(-20, 20)),
    st.sampled_from([0.5, 2.0, 6.0]),
)
def test_no_point_of_a_chain_is_further_off_than_the_tolerance(
    points: NDArray[np.float64], tolerance: float
) -> None:
    """Two chains at once, each with its own tolerance."""
    other = points[::-1] + 100
    counts = np.array([len(points), len(points)])
    every = Chains(
        points=np.concatenate([points, other]), candidates=np.ones(2 * len(points), np.bool_), counts=counts
    )
    for chain, kept, limit in zip(
        (points, other), decimated(every, np.array([tolerance, 0.1])), (tolerance, 0.1), strict=True
    ):
        assert off_mm(chain, kept) <= limit + 1e-9
        assert set(map(tuple, kept)) <= set(map(tuple, chain))

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from imaging.contours.exact import PlanarContour, contours
from imaging.contours.hole_encoding import HoleEncoding
from imaging.contours.rasterise import rasterise
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

STRAIGHT = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
BOUNDED = settings(max_examples=150, deadline=None)


def grid(
    shape: tuple[int, ...], axes: tuple[tuple[float, float, float], ...] = STRAIGHT, origin: float = -37.25
) -> Grid:
    z, y, x = shape
    return Grid(
        shape_zyx=(z, y, x),
        origin_lps=(origin, 12.5, 203.0),
        spacing_zyx_mm=(3.0, 1.25, 0.7),
        axes_lps=(axes[0], axes[1], axes[2]),
    )


def outline(rows: list[str]) -> list[list[tuple[float, float]]]:
    """The contours of a drawing of one slice as (x, y) in voxels."""
    full = np.array([[[c == "#" for c in row] for row in rows]])
    lattice = grid(full.shape)
    return [
        [(round(float(x), 6), round(float(y), 6)) for _, y, x in lattice.index_zyx(c.points_lps)]
        for c in contours(Mask.from_full(full), lattice)
    ]


def area_voxels(found: list[PlanarContour], lattice: Grid) -> float:
    total = 0.0
    for contour in found:
        y, x = lattice.index_zyx(contour.points_lps)[:, 1:].T
        total += abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return total


def check_exact(full: NDArray[np.bool_], lattice: Grid) -> None:
    found = contours(Mask.from_full(full), lattice)
    assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)
    assert area_voxels(found, lattice) == pytest.approx(int(full.sum()), abs=1e-6)
    assert all(len(contour.points_lps) >= 4 for contour in found)
    assert [c.slice_index for c in found] == sorted(c.slice_index for c in found)


def test_one_voxel_is_a_square_round_its_centre_in_patient_mm() -> None:
    full = np.zeros((4, 5, 6), np.bool_)
    full[2, 3, 1] = True
    (contour,) = contours(Mask.from_full(full), grid(full.shape))
    assert contour.slice_index == 2
    # centre x -37.25 + 0.7 = -36.55, y 12.5 + 3.75 = 16.25, z 203 + 6
    expected = [(-36.9, 15.625, 209), (-36.2, 15.625, 209), (-36.2, 16.875, 209), (-36.9, 16.875, 209)]
    assert np.allclose(contour.points_lps, expected)


def test_only_corners_are_kept() -> None:
    assert outline(["####", "####", "##.."]) == [
        [(-0.5, -0.5), (3.5, -0.5), (3.5, 1.5), (1.5, 1.5), (1.5, 2.5), (-0.5, 2.5)]
    ]


def test_voxels_that_touch_at_a_corner_are_two_contours() -> None:
    for rows in (["#.", ".#"], [".#", "#."]):
        assert sorted(len(c) for c in outline(rows)) == [4, 4]


def test_a_hole_is_a_keyhole_with_a_channel_without_width() -> None:
    (ring,) = outline(["####", "#..#", "####"])
    door = (-0.5, 0.5)
    assert ring.count(door) == 2
    assert ring.count((0.5, 0.5)) == 2
    assert len(ring) == 4 + 4 + 3  # outside, hole, and the door twice and the hole's first corner once more
    i = ring.index(door)
    around = ring[i : i + 7]
    assert around == [door, (0.5, 0.5), (0.5, 1.5), (2.5, 1.5), (2.5, 0.5), (0.5, 0.5), door]


def test_an_island_in_a_hole_is_a_contour_of_its_own() -> None:
    assert len(outline(["#####", "#...#", "#.#.#", "#...#", "#####"])) == 2


def test_a_hole_that_opens_at_a_corner_needs_no_channel() -> None:
    (shape,) = outline([".###", "#.##", "####"])
    assert shape.count((0.5, 0.5)) == 2


def test_no_voxels_have_no_contours() -> None:
    assert contours(Mask.empty(), grid((1, 1, 1))) == []
    assert contours(Mask(crop_zyx=np.zeros((2, 2, 2), np.bool_), start_zyx=(0, 0, 0)), grid((4, 4, 4))) == []


@pytest.mark.parametrize(
    "rows",
    [
        ["#"],
        ["###", "###", "###"],
        ["#.#.#", ".#.#.", "#.#.#"],
        ["###.###", "#.#.#.#", "###.###"],
        ["#######", "#.#.#.#", "#######", "#..#..#", "#######"],
        ["########", "#......#", "#.####.#", "#.#..#.#", "#.####.#", "#......#", "########"],
        ["..##..", ".#..#.", "#....#", ".#..#.", "..##.."],
    ],
)
def test_drawings_come_back_exactly(rows: list[str]) -> None:
    full = np.array([[[c == "#" for c in row] for row in rows]])
    check_exact(full, grid(full.shape))


def test_a_tube_of_one_voxel_at_45_degrees() -> None:
    full = np.zeros((8, 8, 8), np.bool_)
    full[np.arange(8), np.arange(8), np.arange(8)] = True
    check_exact(full, grid(full.shape))


@BOUNDED
@given(arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, max_side=7)))
def test_any_mask_comes_back_exactly(full: NDArray[np.bool_]) -> None:
    check_exact(full, grid(full.shape))


@BOUNDED
@given(
    arrays(np.bool_, array_shapes(min_dims=3, max_dims=3, max_side=5)),
    st.floats(-15, 15),
    st.floats(-15, 15),
    st.sampled_from([(1, 1), (-1, 1), (1, -1), (-1, -1)]),
    st.floats(-1000, 1000),
)
def test_any_mask_comes_back_exactly_from_oblique_and_flipped_grids(
    full: NDArray[np.bool_], turn_deg: float, tilt_deg: float, signs: tuple[int, int], origin: float
) -> None:
    turn, tilt = math.radians(turn_deg), math.radians(tilt_deg)
    x = signs[0] * np.array([math.cos(turn), math.sin(turn), 0.0])
    y = np.array([-math.sin(turn), math.cos(turn), 0.0]) * math.cos(tilt) + np.array([0, 0, math.sin(tilt)])
    y = signs[1] * y
    axes = [tuple(float(v) for v in axis) for axis in (np.cross(x, y), y, x)]
    check_exact(full, grid(full.shape, tuple(axes), origin))  # type: ignore[arg-type]


@given(
    arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=9)),
    st.sampled_from(HoleEncoding),
)
@settings(max_examples=200, deadline=None)
def test_no_contour_has_a_point_twice_in_a_row(plane: NDArray[np.bool_], holes: HoleEncoding) -> None:
    for contour in contours(Mask.from_full(plane[None]), grid((1, *plane.shape)), holes):
        steps = contour.points_lps - np.roll(contour.points_lps, 1, axis=0)
        assert np.abs(steps).max(axis=1).min() > 0


def test_a_crop_keeps_its_place() -> None:
    full = np.zeros((3, 40, 50), np.bool_)
    full[1, 30:33, 40:50] = True
    check_exact(full, grid(full.shape))


def test_contours_may_be_written_with_four_decimals() -> None:
    rng = np.random.default_rng(3)
    full = rng.random((2, 60, 60)) < 0.5
    lattice = grid(full.shape, origin=-123.456789)
    found = [
        PlanarContour(slice_index=c.slice_index, points_lps=c.points_lps.round(4))
        for c in contours(Mask.from_full(full), lattice)
    ]
    assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)

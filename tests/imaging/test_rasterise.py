import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imaging.contours.exact import PlanarContour
from imaging.contours.rasterise import rasterise
from imaging.volumes.grid import Grid

GRID = Grid(
    shape_zyx=(3, 6, 8),
    origin_lps=(10.0, -20.0, 5.0),
    spacing_zyx_mm=(4.0, 2.0, 0.5),
    axes_lps=((0, 0, 1), (0, 1, 0), (1, 0, 0)),
)


def polygon(slice_index: int, *corners_xy: tuple[float, float]) -> PlanarContour:
    """A polygon given in voxels."""
    index = [(slice_index, y, x) for x, y in corners_xy]
    return PlanarContour(slice_index=slice_index, points_lps=GRID.points_lps(index))


def square(slice_index: int, low: float, high: float) -> PlanarContour:
    return polygon(slice_index, (low, low), (high, low), (high, high), (low, high))


def drawn(*polygons: PlanarContour, slice_index: int = 1) -> list[str]:
    full = rasterise(polygons, GRID).full(GRID.shape_zyx)
    assert not np.delete(full, slice_index, axis=0).any()
    return ["".join("#" if v else "." for v in row) for row in full[slice_index]]


def test_voxels_whose_centre_is_inside() -> None:
    # row 1: x between 0.6 and 4.4; row 2: 1.2 .. 3.8; row 3: 1.8 .. 3.2
    triangle = polygon(1, (0.0, 0.0), (5.0, 0.0), (2.5, 25 / 6))
    assert drawn(triangle) == ["#####...", ".####...", "..##....", "..##....", "..." + ".....", "........"]


def test_nested_contours_are_holes_and_islands() -> None:
    assert drawn(square(1, -0.5, 5.4), square(1, 0.5, 4.5), square(1, 1.5, 3.5)) == [
        "######..",
        "#....#..",
        "#.##.#..",
        "#.##.#..",
        "#....#..",
        "######..",
    ]


def test_a_keyhole_polygon_is_hollow() -> None:
    keyhole = polygon(
        1, (-0.5, -0.5), (4.5, -0.5), (4.5, 4.5), (-0.5, 4.5), (-0.5, 1.2), (0.8, 1.2), (0.8, 3.2), (3.2, 3.2)
    )
    index = GRID.index_zyx(keyhole.points_lps)
    closed = np.vstack([index, [[1, 1.2, 3.2], [1, 1.2, 0.8], [1, 1.2, -0.5]]])
    found = drawn(PlanarContour(slice_index=1, points_lps=GRID.points_lps(closed)))
    assert found == ["#####...", "#####...", "#...#...", "#...#...", "#####...", "........"]


def test_a_slanting_channel_without_width_leaves_no_trace() -> None:
    outer = [(-0.5, -0.5), (7.5, -0.5), (7.5, 5.5), (-0.5, 5.5)]
    hole = [(2.5, 1.5), (2.5, 3.5), (4.5, 3.5), (4.5, 1.5)]
    found = drawn(polygon(1, *outer, outer[0], *hole, hole[0]))
    assert found == ["########", "########", "###..###", "###..###", "########", "########"]


def test_centres_on_the_edge_belong_to_left_and_upper_edges() -> None:
    assert drawn(square(1, 1.0, 3.0)) == [
        "........",
        ".##.....",
        ".##.....",
        "........",
        "........",
        "........",
    ]


def test_direction_and_start_do_not_matter() -> None:
    one = polygon(1, (0.2, 0.3), (6.1, 1.2), (3.3, 4.9))
    other = polygon(1, (3.3, 4.9), (6.1, 1.2), (0.2, 0.3))
    assert drawn(one) == drawn(other)


def test_what_lies_outside_the_grid_is_cut_off() -> None:
    assert drawn(square(1, -50, 50)) == ["########"] * 6
    assert drawn(square(1, 50, 60)) == ["........"] * 6
    assert drawn(square(1, -60, -50)) == ["........"] * 6
    assert rasterise([square(-1, 0, 3), square(3, 0, 3)], GRID).voxels() == 0


@pytest.mark.parametrize(
    "corners", [[(1.0, 1.0)], [(1.0, 1.0), (3.0, 3.0)], [(0.0, 2.2), (3.0, 2.2), (5.0, 2.2)]]
)
def test_degenerate_polygons_fill_nothing(corners: list[tuple[float, float]]) -> None:
    assert rasterise([polygon(1, *corners)], GRID).voxels() == 0


def test_no_polygons_are_the_empty_mask() -> None:
    assert rasterise([], GRID).crop_zyx.shape == (0, 0, 0)


def test_the_mask_is_cropped_tightly() -> None:
    mask = rasterise([square(2, 1.6, 3.4)], GRID)
    assert mask.start_zyx == (2, 2, 2)
    assert mask.crop_zyx.shape == (1, 2, 2)


def _by_brute_force(corners: list[tuple[float, float]]) -> np.ndarray:
    """Whether a voxel's centre has an odd number of edges to its left, one voxel and one edge at a time."""
    inside = np.zeros(GRID.shape_zyx[1:], bool)
    for y, x in np.ndindex(inside.shape):
        for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
            if (y1 > y) != (y2 > y) and x > x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                inside[y, x] = not inside[y, x]
    return inside


# off the centres, so that no corner or edge is a matter of convention
CORNERS = st.tuples(st.integers(-3, 9), st.integers(-3, 7), st.integers(1, 9), st.integers(1, 9)).map(
    lambda c: (c[0] + c[2] / 10.37, c[1] + c[3] / 10.73)
)


@given(corners=st.lists(CORNERS, min_size=3, max_size=9, unique=True))
@example(
    corners=[(2.4, 0.2), (2.6, 0.2), (2.5, 3.7)]
)  # its tip between two columns: the first rows hold no centre
@example(corners=[(0.2, 2.4), (0.2, 2.6), (3.7, 2.5)])
@settings(max_examples=300, deadline=None)
def test_any_polygon_fills_the_voxels_whose_centres_it_encloses(corners: list[tuple[float, float]]) -> None:
    full = rasterise([polygon(1, *corners)], GRID).full(GRID.shape_zyx)
    assert np.array_equal(full[1], _by_brute_force(corners))


def test_corners_within_a_millionth_of_a_voxel_of_a_centre_lie_on_it() -> None:
    """Coordinates that went through decimal text meet a centre exactly; a hundredth of a voxel off stays off."""
    for nudge, expected in ((4e-7, ".##....."), (-4e-7, ".##....."), (0.01, "..##...."), (-0.01, ".##.....")):
        low, high = 1.0 + nudge, 3.0 + nudge
        square_off = polygon(1, (low, 0.5), (high, 0.5), (high, 1.5), (low, 1.5))
        assert drawn(square_off)[1] == expected

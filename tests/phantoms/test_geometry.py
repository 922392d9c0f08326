"""Geometry phantoms against voxels worked out by hand."""

from dataclasses import replace

import numpy as np

from imaging.volumes.grid import Grid
from phantoms.geometry import Ball, CornerMark, Cuboid, TubeWall, geometry_phantom, marked_solids, uneven_grid

GRID = Grid(
    shape_zyx=(3, 5, 6),
    origin_lps=(10.0, -20.0, 100.0),
    spacing_zyx_mm=(3.0, 2.0, 1.0),
    axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


def voxels(grid: Grid, solid: Cuboid | Ball | TubeWall | CornerMark) -> set[tuple[int, ...]]:
    mask = geometry_phantom(grid, {"it": solid}).masks.by_code["it"].full(grid.shape_zyx)
    return {tuple(int(i) for i in at) for at in np.argwhere(mask)}


def test_a_cuboid_holds_the_voxels_whose_centres_lie_in_it() -> None:
    # centres: x = 10..15, y = -20, -18, .., -12, z = 100, 103, 106
    found = voxels(GRID, Cuboid(low=(12.0, -18.5, 102.0), high=(13.9, -15.9, 106.0)))
    assert found == {(z, y, x) for z in (1, 2) for y in (1, 2) for x in (2, 3)}


def test_a_ball_of_two_millimetres_is_a_cross() -> None:
    found = voxels(GRID, Ball(centre=(13.0, -16.0, 103.0), radius_mm=2.0))
    assert found == {(1, 2, 1), (1, 2, 2), (1, 2, 3), (1, 2, 4), (1, 2, 5), (1, 1, 3), (1, 3, 3)}


def test_a_ring_has_a_hole() -> None:
    found = voxels(
        GRID, TubeWall(centre=(13.0, -16.0, 103.0), inner_mm=1.5, outer_mm=2.0, half_height_mm=1.0)
    )
    assert found == {(1, 2, 1), (1, 2, 5), (1, 1, 3), (1, 3, 3)}


def test_a_corner_mark_has_three_different_bars() -> None:
    mark = CornerMark(corner=(10.0, -20.0, 100.0), lengths_xyz_mm=(4.0, 6.0, 3.0), width_mm=0.5)
    assert voxels(GRID, mark) == {(0, 0, x) for x in range(5)} | {(0, y, 0) for y in range(4)} | {(1, 0, 0)}


def test_solids_keep_their_place_on_a_flipped_grid() -> None:
    flipped = replace(
        GRID,
        origin_lps=(15.0, -20.0, 106.0),
        axes_lps=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
    )
    mark = CornerMark(corner=(10.0, -20.0, 100.0), lengths_xyz_mm=(4.0, 6.0, 3.0), width_mm=0.5)
    assert voxels(flipped, mark) == {(2 - z, y, 5 - x) for z, y, x in voxels(GRID, mark)}


def test_the_marked_phantom_is_inside_apart_and_asymmetric() -> None:
    made = geometry_phantom(uneven_grid(), marked_solids())
    shape = made.volume.grid.shape_zyx
    full = {code: mask.full(shape) for code, mask in made.masks.by_code.items()}
    assert max(sum(mask.astype(int) for mask in full.values()).ravel()) == 1
    for code, mask in full.items():
        edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1])
        assert mask.any(), code
        assert not any(edge.any() for edge in edges), code
    hu = made.volume.array_zyx
    assert sorted(np.unique(hu)) == [-1000, 100, 200, 300]
    for axis in range(3):
        assert not np.array_equal(hu, np.flip(hu, axis))

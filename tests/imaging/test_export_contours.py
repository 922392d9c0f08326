import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.contours.hole_encoding import HoleEncoding
from imaging.contours.rasterise import rasterise
from imaging.errors import StructureSetNotWritable
from imaging.export.contours import cleaned, polygons
from imaging.export.profiles import PROFILES, Boundary, ExportProfile
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

ECLIPSE = PROFILES["eclipse"]


def grid(shape: tuple[int, ...]) -> Grid:
    z, y, x = shape
    return Grid(
        shape_zyx=(z, y, x),
        origin_lps=(-37.25, 12.5, 203.0),
        spacing_zyx_mm=(3.0, 2.0, 1.5),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )


def drawing(*rows: str) -> NDArray[np.bool_]:
    return np.array([[[c == "#" for c in row] for row in rows]])


def test_islands_below_the_area_go_and_then_holes_are_filled() -> None:
    full = drawing("#......", "..####.", "..#.##.", "..####.", ".......")
    profile = dataclasses.replace(
        ECLIPSE, smallest_island_mm2=6.0, smallest_hole_mm2=6.0
    )  # two voxels of 3 mm2
    found = cleaned(Mask.from_full(full), grid(full.shape), profile)
    expected = drawing(".......", "..####.", "..####.", "..####.", ".......")
    assert np.array_equal(found.mask.full(grid(full.shape).shape_zyx), expected)
    assert (found.islands, found.island_voxels, found.holes, found.hole_voxels) == (1, 1, 1, 1)


def test_an_area_at_the_limit_stays() -> None:
    full = drawing("##...", ".....", "####.", "#..#.", "####.")
    profile = dataclasses.replace(ECLIPSE, smallest_island_mm2=6.0, smallest_hole_mm2=6.0)
    mask = Mask.from_full(full)
    assert cleaned(mask, grid(full.shape), profile).mask is mask


def test_parts_are_of_one_slice_and_a_corner_joins_holes_but_not_islands() -> None:
    full = np.concatenate([drawing("##", "#.")] * 2)
    full[1] = [[True, False], [False, True]]
    profile = dataclasses.replace(ECLIPSE, smallest_island_mm2=6.0)
    found = cleaned(Mask.from_full(full), grid(full.shape), profile)
    assert (found.islands, found.mask.voxels()) == (2, 3)


def comb(teeth: int) -> NDArray[np.bool_]:
    full = np.zeros((2, 8, 2 * teeth + 3), np.bool_)
    full[:, 1:3, 1:-1] = True
    full[0, 1:7, 1:-1:2] = True
    full[0, 1, 2] = True
    return full


@pytest.mark.parametrize("holes", HoleEncoding)
def test_a_contour_that_is_too_long_is_split_and_the_mask_stays(holes: HoleEncoding) -> None:
    full = comb(20)
    full[0, 4, 5] = False
    full[0, 3:6, 2] = True
    profile = dataclasses.replace(ECLIPSE, most_points=30, holes=holes)
    lattice = grid(full.shape)
    found, notes = polygons(Mask.from_full(full), lattice, profile)
    assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)
    assert max(len(contour.points_lps) for contour in found) <= 30
    assert [note.slice_index for note in notes] == [0]
    assert notes[0].points_before > 80
    assert len(notes[0].points_after) >= 3
    assert [c.slice_index for c in found] == sorted(c.slice_index for c in found)
    assert len({c.geometric_type for c in found}) == 1


def test_a_contour_is_decimated_before_it_is_split() -> None:
    y, x = np.mgrid[:60, :80]
    full = (np.hypot((y - 30) * 2.0, (x - 40) * 1.5) <= 55)[None]
    lattice = grid(full.shape)
    exact, none = polygons(Mask.from_full(full), lattice, dataclasses.replace(ECLIPSE, most_points=0))
    assert none == []
    limit = len(exact[0].points_lps) - 10
    profile = dataclasses.replace(ECLIPSE, most_points=limit, tolerance_mm=5.0)
    found, notes = polygons(Mask.from_full(full), lattice, profile)
    assert len(found) == 1
    assert notes[0].points_after == (len(found[0].points_lps),)
    assert np.array_equal(rasterise(found, lattice).full(lattice.shape_zyx), full)


def test_a_smooth_contour_that_stays_too_long_is_refused() -> None:
    full = comb(20)
    profile = dataclasses.replace(ECLIPSE, most_points=16, boundary=Boundary.SMOOTH, volume_tolerance=0.05)
    with pytest.raises(
        StructureSetNotWritable, match=r"on slice 0 has more than 16 points; raise the profile's"
    ):
        polygons(Mask.from_full(full), grid(full.shape), profile)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_an_empty_mask_has_no_polygons(profile: ExportProfile) -> None:
    assert polygons(Mask.empty(), grid((2, 3, 4)), profile) == ([], [])
    assert cleaned(Mask.empty(), grid((2, 3, 4)), profile).mask.voxels() == 0

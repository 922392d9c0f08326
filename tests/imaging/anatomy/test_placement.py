"""Measurements of box-shaped structures in a block of a body, worked out by hand."""

import numpy as np
import pytest

from imaging.anatomy import StructurePlacement, body_profile, estimate_regions, placements
from imaging.volumes.volume import Mask, Volume
from tests.support.bodies import upright_volume

SPACING = (5.0, 2.0, 2.0)


@pytest.fixture(scope="module")
def volume() -> Volume:
    """40 slices of 100 x 120 voxels; the body's rows are 20 to 80, its columns 20 to 100."""
    array = np.full((40, 100, 120), -1000, np.int16)
    array[:, 20:80, 20:100] = 40
    array[10:20, 40:50, 30:40] = 100
    return upright_volume(array, SPACING)


def placed(volume: Volume, *box: slice) -> StructurePlacement:
    full = np.zeros(volume.grid.shape_zyx, bool)
    full[box] = True
    profile = body_profile(volume)
    return placements({"A": Mask.from_full(full)}, volume, profile, estimate_regions(profile))["A"]


def test_size_place_and_matter_of_a_box(volume: Volume) -> None:
    found = placed(volume, slice(10, 20), slice(40, 50), slice(30, 40))
    assert found.volume_cc == pytest.approx(10 * 10 * 10 * 20 / 1000)
    assert (found.height_mm, found.depth_mm, found.width_mm) == (50, 20, 20)
    assert found.middle_mm == pytest.approx((34.5 * 2, 44.5 * 2, 14.5 * 5))
    assert found.across == pytest.approx(2 * (34.5 - 20) / 80 - 1)
    assert found.deep == pytest.approx((44.5 - 20) / 60)
    assert found.inside == 1.0
    assert found.median_hu == 100
    assert found.edges == ()


def test_the_ends_of_a_long_structure(volume: Volume) -> None:
    found = placed(volume, slice(0, 40), slice(40, 50), slice(30, 40))
    assert found.top_mm[2] == pytest.approx(np.mean(np.arange(33, 40)) * 5)  # within 30 mm of slice 39
    assert found.bottom_mm[2] == pytest.approx(np.mean(np.arange(0, 7)) * 5)
    assert found.edges == ("inferior", "superior")


def test_what_lies_in_the_air_beside_the_body(volume: Volume) -> None:
    found = placed(volume, slice(10, 20), slice(40, 50), slice(100, 120))
    assert found.inside == 0.0
    assert found.across > 1
    assert found.edges == ("left",)


def test_an_empty_mask_has_no_place(volume: Volume) -> None:
    profile = body_profile(volume)
    assert placements({"A": Mask.empty()}, volume, profile, estimate_regions(profile)) == {}

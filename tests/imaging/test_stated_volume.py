"""The volume that a file states against the one that its contours enclose; expected values worked out by hand."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from imaging.contours.structure_set import GeometricType, ReadContour
from imaging.rtstruct.stated_volume import VolumeComparison, compare_volume


def contour(points_xy: ArrayLike, z: float) -> ReadContour:
    flat = np.array(points_xy, float)
    points = np.column_stack([flat, np.full(len(flat), z)])
    return ReadContour(geometric_type=GeometricType.CLOSED_PLANAR, points_lps=points, image_uid="")


def square(side: float, z: float, corner: float = 0) -> ReadContour:
    a, b = corner, corner + side
    return contour([(a, a), (b, a), (b, b), (a, b)], z)


def span(found: VolumeComparison | None) -> tuple[float, float]:
    assert found is not None
    return round(found.least_cm3, 6), round(found.most_cm3, 6)


def test_a_box_ends_at_its_outer_planes_or_half_a_slice_beyond() -> None:
    box = [square(100, z) for z in (0, 3, 6)]
    assert span(compare_volume(90.0, box)) == (60.0, 90.0)


@pytest.mark.parametrize(
    ("stated", "agrees"),
    [(56.9, False), (57.1, True), (75, True), (94.4, True), (94.6, False), (0.09, False)],
)
def test_five_per_cent_beyond_the_span_still_agree(stated: float, agrees: bool) -> None:
    found = compare_volume(stated, [square(100, z) for z in (0, 3, 6)])
    assert found is not None
    assert found.agrees is agrees


def test_of_small_structures_a_tenth_of_a_cubic_centimetre() -> None:
    small = [square(5, z) for z in (0, 2)]  # 0.05 to 0.1 cm3
    assert [found.agrees for v in (0.01, 0.19, 0.21) if (found := compare_volume(v, small))] == [
        True,
        True,
        False,
    ]


def test_a_contour_in_a_contour_is_a_hole_and_one_in_a_hole_is_not() -> None:
    nested = [c for z in (0, 10) for c in (square(30, z), square(20, z, 5), square(10, z, 10))]
    assert span(compare_volume(1.0, nested)) == (6.0, 12.0)  # 900 - 400 + 100 = 600 mm2


def test_a_keyhole_is_a_hole() -> None:
    outer = [(0, 0), (30, 0), (30, 30), (0, 30), (0, 10)]
    inner = [(10, 10), (10, 20), (20, 20), (20, 10), (10, 10), (0, 10)]
    assert span(compare_volume(1.0, [contour([*outer, *inner], z) for z in (0, 1)])) == (0.8, 1.6)


def test_planes_that_are_skipped_may_be_filled_or_empty() -> None:
    skipped = [square(10, z) for z in (0, 1, 5)]
    assert span(compare_volume(1.0, skipped)) == (
        0.3,
        0.6,
    )  # three slices, or 5 mm and half a slice at each end


def test_a_slice_of_the_ct_counts_where_the_contours_lie_on_every_second() -> None:
    sparse = [square(10, z) for z in (0, 6)]
    assert span(compare_volume(1.0, sparse, slice_spacing_mm=3)) == (0.6, 0.9)


def test_planes_across_any_axis() -> None:
    upright = [
        ReadContour(
            geometric_type=GeometricType.CLOSED_PLANAR, points_lps=c.points_lps[:, [2, 0, 1]], image_uid=""
        )
        for c in (square(10, 0), square(10, 2))
    ]
    assert span(compare_volume(1.0, upright)) == (0.2, 0.4)


def test_nothing_is_compared_where_nothing_is_stated_or_drawn() -> None:
    point = ReadContour(geometric_type=GeometricType.POINT, points_lps=np.zeros((1, 3)), image_uid="")
    box = [square(10, 0), square(10, 1)]
    assert compare_volume(None, box) is None
    assert compare_volume(0.0, box) is None  # Pinnacle states it of every ROI
    assert compare_volume(1.0, []) is None
    assert compare_volume(1.0, [point]) is None
    assert compare_volume(1.0, box[:1]) is None
    assert span(compare_volume(1.0, box[:1], slice_spacing_mm=2)) == (0.0, 0.2)

"""Shapes: sign, distance and volume against hand-worked figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phantoms.composed import Difference, Grown, Mirrored, Union, pair
from phantoms.sections import Loft, Ribbon
from phantoms.shapes import Above, BoundingBox, Ellipsoid, Shape, Slab, Stripes, Tube


def at(shape: Shape, *points: tuple[float, float, float]) -> list[float]:
    x, y, z = (np.array(c, np.float32) for c in zip(*points, strict=True))
    return shape.distance(x, y, z).tolist()


def volume_mm3(shape: Shape, step: float = 0.5) -> float:
    axes = [
        np.arange(low + step / 2, high, step, dtype=np.float32)
        for low, high in zip(shape.box.low, shape.box.high, strict=True)
    ]
    x, y, z = axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]
    return float(np.count_nonzero(shape.distance(x, y, z) < 0)) * step**3


BALL = Ellipsoid(centre=(3, -2, 5), semi=(10, 10, 10))
COLUMN = Loft(
    z=(0, 10, 40), centre_x=(2,) * 3, centre_y=(-3,) * 3, half_width=(8,) * 3, front=(5,) * 3, back=(5,) * 3
)


def test_a_balls_distance_is_exact() -> None:
    assert at(BALL, (3, -2, 6), (3, -2, 20), (13, -2, 5), (9, -2, 5)) == pytest.approx(
        [-9, 5, 0, -4], abs=0.01
    )


@pytest.mark.parametrize(
    ("shape", "expected_mm3"),
    [
        (Ellipsoid(centre=(1, 2, 3), semi=(6, 8, 10)), 4 / 3 * np.pi * 480),
        (Ellipsoid(centre=(1, 2, 3), semi=(6, 8, 10), turn_z_deg=30, turn_x_deg=-20), 4 / 3 * np.pi * 480),
        (Tube(points=((0, 0, 0), (0, 0, 30)), radii=(4, 4)), np.pi * 16 * 30 + 4 / 3 * np.pi * 64),
        (COLUMN, np.pi * 40 * 40),
        (Difference(of=BALL, within=(Above(height=5, slope_y=0),)), 2 / 3 * np.pi * 1000),
        (Difference(of=BALL, without=(Slab(low_z=5),)), 2 / 3 * np.pi * 1000),
        (Grown(of=BALL, mm=2), 4 / 3 * np.pi * 1728),
    ],
)
def test_volumes_are_those_of_the_formula(shape: Shape, expected_mm3: float) -> None:
    assert volume_mm3(shape) == pytest.approx(expected_mm3, rel=0.04)


def test_a_flattened_tube_has_an_elliptic_section() -> None:
    tube = Tube(points=((0, 0, -20), (0, 0, 20)), radii=(5, 5), stretch=(2, 1, 1))
    inside = np.array(at(tube, (9.5, 0, 0), (10.5, 0, 0), (0, 4.5, 0), (0, 5.5, 0))) < 0
    assert inside.tolist() == [True, False, True, False]


def test_a_tube_of_one_point_is_refused() -> None:
    with pytest.raises(ValueError, match="two points"):
        at(Tube(points=((0, 0, 0),), radii=(1,)), (0, 0, 0))


def test_a_loft_follows_its_sections_and_ends() -> None:
    cone = Loft(z=(0, 20), centre_x=(0, 10), centre_y=(0, 0), half_width=(4, 8), front=(2, 2), back=(6, 6))
    found = np.array(at(cone, (5, -1.8, 10), (5, -2.2, 10), (5, 5.8, 10), (10.8, 0, 10), (5, 0, 21))) < 0
    assert found.tolist() == [True, False, True, True, False]


def test_a_ribbon_stands_between_its_edges() -> None:
    ribbon = Ribbon(points_xy=((0, 0), (20, 0)), half_thickness=(3, 3), lower=(0, -10), upper=(10, 10))
    found = np.array(at(ribbon, (0, 0, -2), (19, 0, -7), (10, 2.5, 5), (10, 3.5, 5), (10, 0, 11))) < 0
    assert found.tolist() == [False, True, True, False, False]


def test_stripes_come_and_go_with_their_period() -> None:
    stripes = Stripes(period_mm=20, slope_y=0, share=0)
    assert (np.array(at(stripes, (0, 0, 5), (0, 0, 15), (0, 0, 25))) < 0).tolist() == [True, False, True]


def test_a_blend_fills_the_groove_and_keeps_its_parts() -> None:
    parts = (
        Ellipsoid(centre=(-9, 0, 0), semi=(10, 10, 10)),
        Ellipsoid(centre=(9, 0, 0), semi=(10, 10, 10)),
    )
    groove = (0, 5.5, 0)
    assert at(Union(parts=parts), groove)[0] > 0
    assert at(Union(parts=parts, blend_mm=8), groove, (-18, 0, 0), (18, 0, 0)) < [0, 0, 0]


def test_a_union_says_far_where_all_parts_are_far() -> None:
    assert at(Union(parts=(BALL,)), (500, 0, 0))[0] >= 45


@given(st.tuples(*[st.floats(-30, 30)] * 3))
def test_a_mirror_image_changes_left_and_right(point: tuple[float, float, float]) -> None:
    left, right = pair(Ellipsoid(centre=(12, 1, 2), semi=(5, 7, 9), turn_z_deg=20))
    assert isinstance(right, Mirrored)
    mirrored = (-point[0], point[1], point[2])
    assert at(left, point) == pytest.approx(at(right, mirrored), abs=1e-4)


@pytest.mark.parametrize("shape", [BALL, COLUMN, Grown(of=BALL, mm=3), Difference(of=BALL, within=(COLUMN,))])
def test_nothing_of_a_shape_lies_outside_its_box(shape: Shape) -> None:
    rng = np.random.default_rng(1)
    x, y, z = rng.uniform(-60, 60, (3, 20000)).astype(np.float32)
    inside = shape.distance(x, y, z) < 0
    assert inside.any()
    for at_axis, low, high in zip((x, y, z), shape.box.low, shape.box.high, strict=True):
        assert at_axis[inside].min() >= low
        assert at_axis[inside].max() <= high


def test_boxes_join_and_meet() -> None:
    one, other = BoundingBox(low=(0, 0, 0), high=(2, 2, 2)), BoundingBox(low=(1, -1, 1), high=(3, 1, 3))
    assert one.joined(other) == BoundingBox(low=(0, -1, 0), high=(3, 2, 3))
    assert one.met(other) == BoundingBox(low=(1, 0, 1), high=(2, 1, 2))

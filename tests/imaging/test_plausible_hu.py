"""A look at the values: what is no Hounsfield units is refused, and what is passes, however odd its region."""

import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.ct.plausible_hu import check_hounsfield, check_neighbours
from imaging.errors import ImageRefused, RefusalCode
from tests.support.volumes import volume

Values = NDArray[np.float64]
SHAPE = (24, 64, 64)


def trunk(air: float = -1000) -> Values:
    """A trunk in air.

    Fat, muscle, two lungs, spongy and dense bone, moving a little from slice to slice, with noise.
    """
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]].astype(float)
    x, y = (x - 31.5) / 32, (y - 31.5 - 0.1 * z) / 32
    hu = np.full(SHAPE, air)
    for hu_inside, (cx, cy), (rx, ry) in (
        (-100, (0, 0), (0.85, 0.6)),
        (50, (0, 0), (0.75, 0.5)),
        (-800, (0.4, 0), (0.2, 0.3)),
        (-800, (-0.4, 0), (0.2, 0.3)),
        (300, (0, 0.3), (0.14, 0.14)),
        (1100, (0, 0.3), (0.06, 0.06)),
    ):
        hu[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] = hu_inside
    return hu + np.random.default_rng(3).normal(0, 12, SHAPE)


def seen(values: Values) -> str:
    """What the look says of these values, "" where nothing."""
    array = np.clip(np.rint(values), -32768, 32767).astype(np.int16)
    try:
        check_hounsfield(volume(array))
    except ImageRefused as reason:
        return f"{reason.code}: {reason.message}"
    return ""


@pytest.mark.parametrize(
    ("name", "fault", "tag"),
    [
        ("intercept missing", lambda hu: np.maximum(hu + 1024, 0), "(0028,1052)"),
        ("air at 24, with noise", lambda hu: hu + 1024, "(0028,1052)"),
        ("electron density", lambda hu: np.clip(hu + 1000, 0, 4000), "(0028,1054)"),
        ("intercept twice", lambda hu: hu - 1024, "(0028,1052)"),
        ("moved down", lambda hu: hu - 500, "(0028,1052)"),
        ("moved up", lambda hu: hu + 500, "(0028,1052)"),
        ("ten times", lambda hu: 10 * hu, "(0028,105"),
        ("a tenth", lambda hu: hu / 10, "(0028,105"),
        ("grey values", lambda hu: np.clip((hu + 160) / 400 * 255, 0, 255), "(0028,1054)"),
        ("effective atomic number x 10", lambda hu: np.where(hu < -500, 0, 74 + hu / 20), "(0028,1054)"),
        ("upside down", lambda hu: -1024 - (hu + 1024), "(0028,1052)"),
        ("air alone", lambda hu: np.full_like(hu, -1000.0), "(0028,1052)"),
    ],
)
def test_values_on_another_scale_are_refused_with_a_tag_to_look_at(
    name: str, fault: object, tag: str
) -> None:
    message = seen(fault(trunk()))  # type: ignore[operator]
    assert message.startswith("not_hounsfield: these are not Hounsfield units: "), name
    assert tag in message, name


def circle(fill: float) -> Values:
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]] - 31.5
    return np.where(y**2 + x**2 > 32**2, fill, trunk())


def metal() -> Values:
    hu = trunk()
    hu[10:12, 30:34, 30:34] = 3071
    hu[12:13, 30:34, 30:34] = 14000
    return hu


NOISE = np.random.default_rng(5).normal(0, 10, SHAPE)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a trunk in air", trunk()),
        ("air of 12 bits", np.maximum(trunk(-1024), -1024)),
        ("a padding circle of -1024", circle(-1024)),
        ("a padding circle of -2000", circle(-2000)),
        ("a padding circle of -3024", circle(-3024)),
        ("metal", metal()),
        ("contrast", np.where(trunk() > 30, trunk() + 250, trunk())),
        ("a crop without air or lung", trunk()[:, 24:48, 24:40]),
        ("inside a lung", trunk()[:, 26:38, 40:48].repeat(3, 1).repeat(3, 2)),
        ("a water phantom in air", np.where(trunk() > -300, 0, -1000) + NOISE),
        ("water in all of the field of view", NOISE),
        ("PMMA in all of the field of view", 120 + NOISE),
        (
            "a plastic head with bone",
            np.where(trunk() > 30, 150, np.where(trunk() > -300, 800, -1000)) + NOISE,
        ),
        (
            "lung-like cork in air",
            np.where(trunk() > -300, -700, -1000) + NOISE + np.where(trunk() > 200, 700, 0),
        ),
        ("padding of zero round a crop", np.where(np.indices(SHAPE)[2] < 40, trunk(), 0)),
        ("few voxels", np.full((2, 3, 4), 1000.0)),
        ("water without noise", np.zeros(SHAPE)),
    ],
)
def test_what_is_in_hounsfield_units_passes(name: str, values: Values) -> None:
    assert seen(values) == "", name


def test_two_phases_in_turn_are_refused_by_their_pixels_alone() -> None:
    values = trunk()
    check_neighbours(volume(values.astype(np.int16)))
    values[1::2] = np.roll(values[1::2], (6, 5), axis=(1, 2))
    with pytest.raises(ImageRefused, match="22 of 22 slices are more like the slice after the next") as found:
        check_neighbours(volume(values.astype(np.int16)))
    assert found.value.code is RefusalCode.MIXED_ACQUISITIONS


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_slices_say_nothing_of_their_neighbours(count: int) -> None:
    values = trunk()[:count]
    values[1::2] = -1000
    check_neighbours(volume(values.astype(np.int16)))


def test_identical_slices_pass() -> None:
    check_neighbours(volume(np.zeros((12, 8, 8), np.int16)))


@pytest.mark.parametrize("slices", [slice(10, 11), slice(12, None), slice(0, 3), slice(23, 24)])
@pytest.mark.parametrize("shift", [1024, -1000, 300])
def test_slices_on_another_scale_than_their_neighbours_are_refused(slices: slice, shift: float) -> None:
    values = trunk()
    values[slices] += shift
    with pytest.raises(ImageRefused, match=r"every value jumps by -?\d+ HU.*\(0028,1052\)"):
        check_neighbours(volume(np.rint(values).astype(np.int16)))


@pytest.mark.parametrize("blank", [-1000, 0, 3000])
def test_slices_without_contrast_at_the_end_of_a_stack_are_no_other_scale(blank: float) -> None:
    values = trunk()
    values[:3] = blank
    check_neighbours(volume(np.rint(values).astype(np.int16)))


def test_a_scan_that_runs_into_metal_or_out_of_the_body_is_one_scale() -> None:
    values = trunk()
    values[12:, 20:44, 20:44] = 3000
    values[20:] = np.where(values[20:] > -500, -1000, values[20:])
    check_neighbours(volume(np.rint(values).astype(np.int16)))

import math
from dataclasses import replace

import numpy as np
import pytest

from imaging.ct.gaps import numbering_doubt
from imaging.ct.headers import SliceHeader
from imaging.ct.stack import check_stack
from imaging.errors import ImageRefused, RefusalCode

FIRST = SliceHeader(
    name="",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    sop_instance_uid="1.2.0",
    study_uid="1.3",
    series_uid="1.4",
    frame_of_reference_uid="1.5",
    position=("-10", "20", "0"),
    position_lps=(-10.0, 20.0, 0.0),
    orientation=(1, 0, 0, 0, 1, 0),
    pixel_spacing_mm=(1.5, 0.75),
    rows=30,
    columns=40,
    patient_position="HFS",
    gantry_tilt_deg=None,
)


def at(x: float, y: float, z: float, number: int) -> SliceHeader:
    texts = (f"{x:g}", f"{y:g}", f"{z:g}")
    return replace(FIRST, position=texts, position_lps=(x, y, z), sop_instance_uid=f"1.2.{number}")


def stack(*zs: float) -> list[SliceHeader]:
    return [at(-10, 20, z, k) for k, z in enumerate(zs)]


def refusal(headers: list[SliceHeader]) -> ImageRefused:
    with pytest.raises(ImageRefused) as found:
        check_stack(headers)
    return found.value


def test_a_regular_stack_gives_its_grid_and_order() -> None:
    found = check_stack(stack(6, 0, 3))
    assert found.order == (1, 2, 0)
    assert found.grid.shape_zyx == (3, 30, 40)
    assert found.grid.spacing_zyx_mm == (3.0, 1.5, 0.75)
    assert found.grid.origin_lps == (-10.0, 20.0, 0.0)


@pytest.mark.parametrize(
    ("zs", "words"),
    [
        (
            (-14.5, -12.5, -4.5, -2.5),
            "3 slices missing: z=-10.5 to -6.5 mm; slices are 2 mm apart",
        ),
        ((0, 3, 9, 12), "1 slice missing: z=6 mm; slices are 3 mm apart"),
        ((0, 3, 9), "1 slice missing: z=6 mm"),
        ((0, 3, 9, 12, 21), "3 slices missing in 2 gaps: z=6 mm, z=15 to 18 mm (2 slices);"),
        (
            (0, 2, 4, 6, 10, 14, 18, 22, 24, 26),
            "4 slices missing in 4 gaps: z=8 mm, z=12 mm, z=16 mm, and 1 more;",
        ),
    ],
)
def test_missing_slices_are_counted_and_placed(zs: tuple[float, ...], words: str) -> None:
    found = refusal(stack(*zs))
    assert found.code is RefusalCode.MISSING_SLICES
    assert found.message.startswith(words)
    assert "(0020,0032)" in found.message


def numbered(*pairs: tuple[float, int | None]) -> list[SliceHeader]:
    return [replace(at(-10, 20, z, k), instance_number=number) for k, (z, number) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (numbered((0, 1), (3, 2), (9, 4), (12, 5)), "1 slice missing: z=6 mm (Instance Number 3);"),
        (
            numbered((0, 9), (3, 8), (12, 5)),
            "2 slices missing: z=6 to 9 mm (Instance Number 6 to 7);",
        ),
        (numbered((0, 1), (3, 2), (9, 3), (12, 4)), "1 slice missing: z=6 mm;"),
        (numbered((0, None), (3, None), (9, 4)), "1 slice missing: z=6 mm;"),
    ],
)
def test_missing_slices_have_their_numbers_where_the_numbering_leaves_room(
    headers: list[SliceHeader], words: str
) -> None:
    assert refusal(headers).message.startswith(words)


def test_feet_first_gaps_are_told_in_patient_z_from_low_to_high() -> None:
    headers = [replace(h, orientation=(-1, 0, 0, 0, 1, 0)) for h in stack(0, 3, 12, 15)]
    assert refusal(headers).message.startswith("2 slices missing: z=6 to 9 mm")


@pytest.mark.parametrize(
    ("numbers", "doubt"),
    [
        ((1, 2, 3), ""),
        ((2, 0, 1), ""),
        ((None, None, None), ""),
        ((1, 3, 5), "Instance Number (0020,0013) runs from 1 to 5 over 3 slices"),
        ((21, 22, 23), "Instance Number (0020,0013) runs from 21 to 23 over 3 slices"),
        ((1, 1, 2), ""),
    ],
)
def test_a_numbering_with_holes_casts_a_doubt(numbers: tuple[int | None, ...], doubt: str) -> None:
    assert numbering_doubt(numbered(*zip((0, 3, 6), numbers, strict=True))) == doubt


def test_where_the_spacing_is_irregular_is_said() -> None:
    assert "not so between z=6 and z=11 mm" in refusal(stack(0, 3, 6, 11)).message


@pytest.mark.parametrize("zs", [(0, 3, 6, 11), (0, 3, 6, 9.5), (0, 1.08, 5.08, 12.08), (0, 3, 6, 6.5)])
def test_irregular_spacing_is_refused(zs: tuple[float, ...]) -> None:
    assert refusal(stack(*zs)).code is RefusalCode.IRREGULAR_SPACING


def test_positions_rounded_to_one_decimal_are_one_stack() -> None:
    zs = [round(0.625 * k, 1) for k in range(100)]
    assert check_stack(stack(*zs)).grid.spacing_zyx_mm[0] == pytest.approx(0.625, abs=1e-3)


def test_a_slice_displaced_by_more_than_the_tolerance_is_refused() -> None:
    assert check_stack(stack(0, 3.09, 6, 9))
    assert refusal(stack(0, 3.2, 6, 9)).code is RefusalCode.IRREGULAR_SPACING


def test_two_slices_at_one_position_are_duplicates_and_both_are_named() -> None:
    found = refusal(stack(0, 3, 3, 6))
    assert found.code is RefusalCode.DUPLICATE_SLICES
    assert "1.2.1" in found.message
    assert "1.2.2" in found.message
    assert "z=3" in found.message
    assert found.images == ("1.2.1", "1.2.2")


def test_one_image_twice_is_a_duplicate() -> None:
    headers = stack(0, 3, 6)
    found = refusal([*headers, headers[1]])
    assert found.code is RefusalCode.DUPLICATE_SLICES
    assert "image 1.2.1 is in the series 2 times" in found.message


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_slices(count: int) -> None:
    assert refusal(stack(*range(count))).code is RefusalCode.TOO_FEW_SLICES


@pytest.mark.parametrize(
    ("change", "code", "tag"),
    [
        ({"series_uid": "9.9"}, RefusalCode.MIXED_SERIES, "0020,000E"),
        ({"study_uid": "9.9"}, RefusalCode.MIXED_SERIES, "0020,000D"),
        ({"frame_of_reference_uid": "9.9"}, RefusalCode.MIXED_FRAMES, "0020,0052"),
        ({"rows": 31}, RefusalCode.MIXED_GEOMETRY, "0028,0010"),
        ({"columns": 41}, RefusalCode.MIXED_GEOMETRY, "0028,0011"),
        ({"pixel_spacing_mm": (1.5, 0.76)}, RefusalCode.MIXED_GEOMETRY, "0028,0030"),
        ({"orientation": (0, 1, 0, -1, 0, 0)}, RefusalCode.MIXED_ORIENTATION, "0020,0037"),
    ],
)
def test_what_differs_inside_a_series_is_named(
    change: dict[str, object], code: RefusalCode, tag: str
) -> None:
    headers = stack(0, 3, 6)
    headers[2] = replace(headers[2], **change)  # type: ignore[arg-type]
    found = refusal(headers)
    assert found.code is code
    assert tag in found.message
    assert "1.2.2" in found.message


def tilted(angle_deg: float, stated: float | None, count: int = 4) -> list[SliceHeader]:
    """Slices tilted about the x axis while the table moved along z: the stack is sheared."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    headers = stack(*(3.0 * k for k in range(count)))
    return [replace(h, orientation=(1, 0, 0, 0, c, -s), gantry_tilt_deg=stated) for h in headers]


@pytest.mark.parametrize("stated", [None, -18.5, 18.5, 0.0])
def test_gantry_tilt_is_refused_with_its_angle(stated: float | None) -> None:
    found = refusal(tilted(18.5, stated))
    assert found.code is RefusalCode.GANTRY_TILT
    assert "18.5 degrees" in found.message


@pytest.mark.parametrize("count", [2, 3, 300])
def test_two_slices_show_a_tilt_as_many_do(count: int) -> None:
    found = refusal(tilted(18.5, None, count))
    assert found.code is RefusalCode.GANTRY_TILT
    assert "18.5 degrees" in found.message


def test_a_stated_tilt_that_the_geometry_denies_is_a_note() -> None:
    found = check_stack([replace(h, gantry_tilt_deg=10.0) for h in stack(0, 3, 6)])
    assert found.notes == (
        "Gantry/Detector Tilt (0018,1120) says 10 degrees, Image Orientation (Patient) (0020,0037) and "
        "Image Position (Patient) (0020,0032) show none; these are taken",
    )


def test_a_slice_beside_the_stack_is_refused() -> None:
    headers = [*stack(0, 3, 6, 9, 12), at(-10, 25, 15, 9)]
    found = refusal(headers)
    assert found.code is RefusalCode.MIXED_GEOMETRY
    assert "1.2.9" in found.message


def oblique(angle_deg: float) -> list[SliceHeader]:
    """A straight stack, tilted as a whole about the x axis."""
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    normal = np.array([0, s, c])
    return [replace(at(*(3 * k * normal), k), orientation=(1, 0, 0, 0, c, -s)) for k in range(3)]


def test_a_slightly_oblique_straight_stack_is_accepted() -> None:
    grid = check_stack(oblique(10)).grid
    assert grid.spacing_zyx_mm[0] == pytest.approx(3)
    assert grid.axes_lps[0] == pytest.approx((0, math.sin(math.radians(10)), math.cos(math.radians(10))))


@pytest.mark.parametrize("angle", [30, 90])
def test_other_planes_than_axial_are_refused(angle: float) -> None:
    found = refusal(oblique(angle))
    assert found.code is RefusalCode.NOT_AXIAL
    assert "(0020,0037)" in found.message


def test_directions_that_are_no_unit_vectors_at_right_angles_are_refused() -> None:
    for bad in ((1, 0, 0, 1, 0, 0), (2, 0, 0, 0, 1, 0), (0, 0, 0, 0, 0, 0)):
        found = refusal([replace(h, orientation=bad) for h in stack(0, 3)])
        assert found.code is RefusalCode.BAD_ATTRIBUTE


def test_one_slice_aside_is_named_with_its_distance() -> None:
    headers = stack(*(2.0 * k for k in range(20)))
    headers[10] = at(-9.5, 20, 20, 10)
    found = refusal(headers)
    assert found.code is RefusalCode.MIXED_GEOMETRY
    assert "image 1.2.10 at z=20 mm lies 0.50 mm beside the line of the other 19 slices" in found.message
    assert "tilt" not in found.message


@pytest.mark.parametrize("where", [0, 19])
def test_a_slice_aside_at_an_end_is_the_one_that_is_named(where: int) -> None:
    headers = stack(*(2.0 * k for k in range(20)))
    headers[where] = at(-10, 20.4, 2.0 * where, where)
    assert f"image 1.2.{where} at z={2 * where} mm lies 0.40 mm beside" in refusal(headers).message


def noisy(amplitude_mm: float, count: int = 40) -> list[SliceHeader]:
    shifts = np.random.default_rng(7).uniform(-amplitude_mm, amplitude_mm, (count, 2))
    return [at(-10 + x, 20 + y, 2.0 * k, k) for k, (x, y) in enumerate(shifts.tolist())]


def test_noise_of_a_fraction_of_a_pixel_is_one_stack_and_more_is_told_as_what_it_is() -> None:
    assert check_stack(noisy(0.15)).grid.spacing_zyx_mm[0] == 2.0
    found = refusal(noisy(0.6))
    assert found.code is RefusalCode.MIXED_GEOMETRY
    assert "more by more than 0.25 mm" in found.message
    assert "tilt" not in found.message


def test_a_sheared_stack_with_a_slice_aside_is_sheared_and_a_slow_drift_no_tilt() -> None:
    c, s = math.cos(math.radians(10)), math.sin(math.radians(10))
    tilted_ones = [replace(h, orientation=(1, 0, 0, 0, c, -s)) for h in stack(*(3.0 * k for k in range(20)))]
    tilted_ones[7] = replace(tilted_ones[7], position_lps=(-9.0, 20.0, 21.0))
    assert "sheared by 10.0 degrees" in refusal(tilted_ones).message
    drift = refusal([at(-10 + 0.01 * k, 20, 2.0 * k, k) for k in range(60)])
    assert "drift 0.59 mm aside over 118 mm" in drift.message
    assert "the gantry was tilted" not in drift.message


def blocks(*runs: tuple[int, float], numbers: bool) -> list[SliceHeader]:
    zs = [0.0]
    for count, step in runs:
        zs += [zs[-1] + step * (k + 1) for k in range(count)]
    return numbered(*((z, k + 1 if numbers else None) for k, z in enumerate(zs)))


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("second", [4.0, 5.0])
def test_two_slice_distances_are_told_as_such_and_no_slice_cures_them(second: float, numbers: bool) -> None:
    found = refusal(blocks((14, 2.0), (14, second), numbers=numbers))
    assert found.code is RefusalCode.VARIABLE_SPACING
    assert f"2 mm apart from z=0 to 28 mm, {second:g} mm apart from z=28 to" in found.message
    assert "missing" not in found.message


def test_a_block_whose_numbers_skip_lacks_slices() -> None:
    zs = [*(2.0 * k for k in range(10)), *(18 + 4.0 * (k + 1) for k in range(10))]
    found = refusal(numbered(*((z, round(z / 2) + 1) for z in zs)))
    assert found.code is RefusalCode.MISSING_SLICES
    assert found.message.startswith("10 slices missing in 10 gaps")


def test_numbers_find_the_distance_that_no_two_neighbours_have() -> None:
    found = refusal(numbered((0, 1), (6, 3), (15, 6), (21, 8), (30, 11)))
    assert found.code is RefusalCode.MISSING_SLICES
    assert found.message.startswith("6 slices missing in 4 gaps: z=3 mm (Instance Number 2)")
    assert "slices are 3 mm apart" in found.message


def test_irregular_slices_with_numbers_that_run_on_are_not_waited_for() -> None:
    found = refusal(numbered(*((z, k) for k, z in enumerate((0, 3, 6, 11, 14)))))
    assert found.code is RefusalCode.VARIABLE_SPACING
    assert "no slice is missing" in found.message

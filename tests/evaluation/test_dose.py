"""Doses and structures whose DVH is known: every value within 0.5 %."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset

from evaluation.contour_set import ContourSet
from evaluation.dose_comparison import compare_doses, differences
from evaluation.dvh import DoseValues, Dvh, dose_values, dose_volume
from evaluation.errors import EvaluationRefused
from evaluation.samples import sample
from evaluation.set_comparison import compare_sets
from imaging.contours.structure_set import GeometricType, ReadContour, Roi, StructureSet
from imaging.dose import Dose, read_dose
from imaging.errors import DoseRefused
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask
from tests.evaluation.doses import UPRIGHT, Array, box, circles, dose_dataset, dose_grid, linear, part10

CT = Grid(
    shape_zyx=(40, 80, 80), origin_lps=(-39.5, -39.5, -50.0), spacing_zyx_mm=(2.5, 1.0, 1.0), axes_lps=UPRIGHT
)
NINE = np.arange(-10.0, 10.1, 2.5)
FIVE = np.arange(-10.0, 10.1, 5.0)


def read(grid: Grid, gy: Callable[[Array], Array]) -> Dose:
    return read_dose(part10(dose_dataset(grid, gy)))


def dvh_of(polygons: list[Array], dose: Dose) -> Dvh:
    return dose_volume(sample("S", polygons, CT), dose)


def close(value: float | None, expected: float) -> None:
    assert value == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(("step", "zs", "cm3"), [(2.5, NINE, 9.0), (5.0, FIVE, 10.0)])
@pytest.mark.parametrize("off", [0.0, 0.5, 1.25], ids=["on dose points", "off", "half a voxel off"])
def test_a_linear_dose_over_a_box(step: float, zs: Array, cm3: float, off: float) -> None:
    """Contours on and off the dose's lines; the volume comes from the contours."""
    dvh = dvh_of(box(10.0, zs, (off, off, 0.0)), read(dose_grid(step=(step,) * 3), linear))
    values = dose_values(dvh, at_gy=(18.0,)).values
    shift = 0.5 * off
    close(values["volume_cm3"], cm3)
    close(values["mean_gy"], 20 + shift)
    close(values["min_gy"], 15 + shift)
    close(values["max_gy"], 25 + shift)
    close(values["d95_percent_gy"], 15.5 + shift)
    close(values["d50_percent_gy"], 20 + shift)
    close(values["d2_percent_gy"], 24.8 + shift)
    close(values["d1_cm3_gy"], 25 - 10 / cm3 + shift)
    close(values["v18_gy_percent"], 100 * (7 + shift) / 10)
    close(values["v18_gy_cm3"], cm3 * (7 + shift) / 10)


def test_a_cone_of_dose_over_a_cylinder() -> None:
    def cone(points: Array) -> Array:
        return np.asarray(60.0 - np.hypot(points[..., 0], points[..., 1]))

    values = dose_values(
        dvh_of(circles(15.0, NINE), read(dose_grid(step=(1.0, 1.0, 2.5)), cone)), at_gy=(50.0,)
    ).values
    close(values["volume_cm3"], np.pi * 15**2 * 22.5 / 1000)
    close(values["mean_gy"], 60 - 2 / 3 * 15)
    close(values["min_gy"], 45.0)
    close(values["v50_gy_percent"], 100 * (10 / 15) ** 2)
    close(values["d50_percent_gy"], 60 - 15 * np.sqrt(0.5))


def test_a_sphere_of_one_mm_between_the_points_of_a_grid_of_five() -> None:
    zs = (np.arange(40) - 19.5) * 0.05
    ball = [p + np.array([1.3, 0.7, 0.0]) for p in circles(lambda z: float(np.sqrt(1 - z**2)), zs)]
    values = dose_values(dvh_of(ball, read(dose_grid(step=(5.0,) * 3), linear)))
    close(values.values["volume_cm3"], 4 / 3 * np.pi / 1000)
    close(values.values["mean_gy"], 20 + 0.5 * 1.3)
    close(values.values["max_gy"], 20 + 0.5 * 2.3)
    assert values.values["d0.1_cm3_gy"] is None
    assert values.reasons["d0.1_cm3_gy"] == "smaller than 0.1 cm3"


def test_a_hollow_box_holds_no_dose_in_its_hole() -> None:
    """Even-odd: mean over |x|, |y| <= 10 without |x - 4|, |y| <= 4."""
    rings = box(10.0, NINE) + box(4.0, NINE, (4.0, 0.0, 0.0))
    values = dose_values(dvh_of(rings, read(dose_grid(), linear))).values
    close(values["volume_cm3"], (400 - 64) * 22.5 / 1000)
    close(values["mean_gy"], (400 * 20 - 64 * 22) / (400 - 64))


def turned(degrees: float) -> Grid:
    """A dose grid turned about the patient's long axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    axes = ((0.0, 0.0, 1.0), (-s, c, 0.0), (c, s, 0.0))
    return Grid(
        shape_zyx=(33, 33, 33),
        origin_lps=tuple(float(v) for v in -40 * np.array(axes).sum(axis=0)),
        spacing_zyx_mm=(2.5, 2.5, 2.5),
        axes_lps=tuple(tuple(float(v) for v in axis) for axis in axes),
    )


@pytest.mark.parametrize(
    "grid",
    [
        replace(dose_grid(), origin_lps=(-40.0, -40.0, 40.0), axes_lps=((0.0, 0.0, -1.0), *UPRIGHT[1:])),
        replace(dose_grid(), origin_lps=(40.0, -40.0, 40.0), axes_lps=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))),
        replace(dose_grid(), origin_lps=(40.0, 40.0, -40.0), axes_lps=((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0))),
        replace(dose_grid(), origin_lps=(-40.0, 40.0, -40.0), axes_lps=((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))),
        turned(30.0),
    ],
    ids=["planes downwards", "feet first", "prone", "decubitus", "turned by 30 degrees"],
)  # fmt: skip
def test_the_axes_of_the_dose_do_not_matter(grid: Grid) -> None:
    dose = read(grid, linear)
    np.testing.assert_allclose(dose.grid.axes_lps, grid.axes_lps, atol=1e-9)
    values = dose_values(dvh_of(box(10.0, NINE), dose)).values
    close(values["mean_gy"], 20.0)
    close(values["d95_percent_gy"], 15.5)


@pytest.mark.parametrize("up", [1.0, -1.0], ids=["ascending", "feet first"])
def test_frame_offsets_that_are_positions(up: float) -> None:
    """PS3.3 C.8.8.3.2: the vector may hold z positions instead of distances from the first plane."""
    grid = replace(
        dose_grid(),
        origin_lps=(-40.0 * up, -40.0, -40.0 * up),
        axes_lps=((0.0, 0.0, up), (0.0, 1.0, 0.0), (up, 0.0, 0.0)),
    )
    dataset = dose_dataset(grid, linear)
    dataset.GridFrameOffsetVector = [up * (-40.0 + 2.5 * k) for k in range(33)]
    dose = read_dose(part10(dataset))
    assert dose.grid == read(grid, linear).grid
    dataset.GridFrameOffsetVector = [7.0 + 2.5 * k for k in range(33)]
    with pytest.raises(DoseRefused, match="begins with 7, which is neither 0 nor the first plane's z"):
        read_dose(part10(dataset))


def test_a_structure_that_leaves_the_grid_gets_words() -> None:
    """The box from x = 20 to 40 under a grid that ends at 30: the last voxel reaches to 31.25."""
    dose = read(dose_grid(high=(30.0, 40.0, 40.0)), linear)
    values = dose_values(dvh_of(box(10.0, NINE, (30.0, 0.0, 0.0)), dose))
    assert values.reasons["mean_gy"] == "43.7 % of it lies outside the dose grid" or values.reasons[
        "mean_gy"
    ].startswith("43.")
    assert {name for name, value in values.values.items() if value is not None} == {"volume_cm3"}
    close(values.values["volume_cm3"], 9.0)


def test_a_structure_that_ends_with_the_grids_last_voxel_has_its_dose() -> None:
    dvh = dvh_of(box(10.0, np.arange(20.0, 40.1, 2.5)), read(dose_grid(), linear))
    assert dvh.refusal == ""
    close(dose_values(dvh).values["mean_gy"], 20.0)


def test_an_empty_structure() -> None:
    values = dose_values(dvh_of([], read(dose_grid(), linear)), at_gy=(5.0,))
    assert values.reasons["mean_gy"] == values.reasons["v5_gy_percent"] == "empty"
    assert values.values["volume_cm3"] == 0.0


def test_a_contour_across_slices_is_refused() -> None:
    tilted = np.array([(0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (10.0, 10.0, 5.0)])
    with pytest.raises(EvaluationRefused, match="Cord: a contour crosses the slices"):
        sample("Cord", [tilted], CT)


def spoil(keyword: str, value: object) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil("DoseUnits", "RELATIVE"), "Dose Units .* is 'RELATIVE'"),
        (spoil("DoseType", "ERROR"), "a difference, not a dose"),
        (spoil("DoseGridScaling", None), "DoseGridScaling is missing"),
        (spoil("DoseGridScaling", "-1"), "expected a positive number"),
        (spoil("GridFrameOffsetVector", [0.0, 2.5]), "GridFrameOffsetVector has 2 values; expected 33"),
        (spoil("GridFrameOffsetVector", [0.0, *(2.5 * k + 2.5 * (k > 20) for k in range(1, 33))]), "lie from 2.5 to 5 mm apart"),
        (spoil("FrameOfReferenceUID", None), "FrameOfReferenceUID is missing"),
        (spoil("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "not RT Dose"),
        (spoil("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), "cannot be read as an RT Dose"),
    ],
)  # fmt: skip
def test_doses_that_are_refused(change: Callable[[Dataset], None], words: str) -> None:
    dataset = dose_dataset(dose_grid(), linear)
    change(dataset)
    with pytest.raises(DoseRefused, match=f"plan.dcm: .*{words}"):
        read_dose(part10(dataset), "plan.dcm")
    with pytest.raises(DoseRefused):
        read_dose(b"no dicom")


def test_a_dose_of_one_beam_carries_a_note() -> None:
    dataset = dose_dataset(dose_grid(), linear)
    assert read_dose(part10(dataset)).notes == ()
    dataset.DoseSummationType = "BEAM"
    assert "perhaps not the dose of a whole plan" in read_dose(part10(dataset)).notes[0]


def values(mean: float | None, highest: float | None, **reasons: str) -> DoseValues:
    return DoseValues(values={"mean_gy": mean, "max_gy": highest}, reasons=reasons)


def test_differences_of_mean_and_maximum_dose() -> None:
    """SOARS, equations 6 and 7."""
    found = differences(values(18.0, 33.0), values(20.0, 30.0)).values
    assert found["mean_dose_difference_percent"] == pytest.approx(-10.0)
    assert found["mean_dose_difference_absolute_percent"] == pytest.approx(10.0)
    assert found["mean_dose_difference_gy"] == pytest.approx(-2.0)
    assert found["max_dose_difference_percent"] == pytest.approx(10.0)
    assert found["max_dose_difference_absolute_gy"] == pytest.approx(3.0)


def test_differences_that_are_not_defined() -> None:
    zero = differences(values(1.0, 2.0), values(0.0, 0.0))
    assert zero.values["mean_dose_difference_percent"] is None
    assert zero.values["mean_dose_difference_gy"] == pytest.approx(1.0)
    assert zero.reasons["mean_dose_difference_percent"] == "the reference's mean dose is 0 Gy"
    left = differences(values(None, None, mean_gy="empty", max_gy="empty"), values(1.0, 2.0))
    assert left.reasons["mean_dose_difference_gy"] == "empty"


def test_shares_and_doses_are_each_others_inverse() -> None:
    doses = np.random.default_rng(3).gamma(2.0, 10.0, 5001)
    dvh = Dvh(doses_gy=doses, volume_cm3=5.0)
    for share in (0.02, 0.5, 0.95):
        assert dvh.share_at(dvh.dose_to_share(share)) == pytest.approx(share, abs=2 / 5001)
    np.testing.assert_allclose(dvh.curve(np.array([0.0, 1e9])), [1.0, 0.0])


def test_one_structure_without_a_volume_does_not_take_the_others_doses() -> None:
    masks = {
        "Larynx": Mask.from_full(np.ones((2, 2, 2), bool)),
        "Cord": Mask.from_full(np.ones((2, 2, 2), bool)),
    }
    tilted = np.array([(0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (10.0, 10.0, 5.0)])
    rois = [
        Roi(
            number=k, name=name, description="", generation_algorithm="", interpreted_type="", colour_rgb=None, volume_cm3=None,
            contours=tuple(
                ReadContour(geometric_type=GeometricType.CLOSED_PLANAR, points_lps=points, image_uid="") for points in polygons
            ),
        )
        for k, (name, polygons) in enumerate({"Larynx": box(10.0, NINE), "Cord": [tilted]}.items())
    ]  # fmt: skip
    structure_set = StructureSet(
        sop_instance_uid="1", study_uid="1", label="", approval_status="", frame_of_reference_uids=("2.25.4",),
        referenced_series_uids=(), referenced_image_uids=frozenset(), rois=tuple(rois),
    )  # fmt: skip
    one = ContourSet(
        label="node", grid=CT, masks=masks, structure_set=structure_set, frame_of_reference_uid="2.25.4"
    )
    doses = compare_doses(compare_sets(one, one), read(dose_grid(), linear))
    close(doses["Larynx"].values.values["mean_gy"], 20.0)
    assert (
        doses["SpinalCord"].values.reasons["mean_gy"]
        == "Cord: a contour crosses the slices; its volume is not defined"
    )
    with pytest.raises(EvaluationRefused, match=r"lies in frame of reference 2\.25\.9, the dose in 2\.25\.4"):
        compare_doses(
            compare_sets(*(replace(one, frame_of_reference_uid="2.25.9"),) * 2), read(dose_grid(), linear)
        )

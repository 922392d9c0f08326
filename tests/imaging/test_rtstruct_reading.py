import copy
import io
from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian

from imaging.errors import StructureSetUnreadable
from imaging.rtstruct.roi_numbers import whole_number
from imaging.rtstruct.writing import (
    GeometricType,
    StructureSet,
    masks_on_grid,
    read_structure_set,
    write_structure_set,
)
from tests.imaging.ct_slices import part10, slice_dataset
from tests.imaging.structure_sets import ct_series, request, ring

SERIES = ct_series()
PLAIN = write_structure_set(request(SERIES))


def changed(change: Callable[[Dataset], None], syntax: str = ExplicitVRLittleEndian) -> StructureSet:
    dataset = dcmread(io.BytesIO(PLAIN))
    change(dataset)
    return read_structure_set(part10(dataset, syntax))


def nothing(dataset: Dataset) -> None:
    """Leave the structure set as it is."""


def contour(kind: str, *values: float) -> Dataset:
    item = Dataset()
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(values) // 3
    item.ContourData = list(values)
    return item


def square(z: float, low: float = -8.0, high: float = -6.0) -> Dataset:
    return contour("CLOSED_PLANAR", low, 24, z, high, 24, z, high, 30, z, low, 30, z)


def only(*contours: Dataset) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        del dataset.StructureSetROISequence[0].ROIVolume  # which was that of other contours
        dataset.ROIContourSequence[0].ContourSequence = list(contours)

    return change


def planes(*contours: Dataset) -> tuple[list[int], tuple[str, ...]]:
    """Voxels on each slice of the first ROI, and the notes."""
    found = masks_on_grid(changed(only(*contours)), SERIES)
    full = found.by_number[1].full(SERIES.volume.grid.shape_zyx)
    return full.sum(axis=(1, 2)).tolist(), found.notes


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_every_transfer_syntax_says_the_same(syntax: str) -> None:
    found = changed(nothing, syntax)
    plain = read_structure_set(PLAIN)
    assert [roi.name for roi in found.rois] == ["Parotid_L", "Larynx"]
    for one, other in zip(found.rois, plain.rois, strict=True):
        assert (one.number, one.colour_rgb, one.volume_cm3) == (
            other.number,
            other.colour_rgb,
            other.volume_cm3,
        )
        for a, b in zip(one.contours, other.contours, strict=True):
            assert np.array_equal(a.points_lps, b.points_lps)
            assert a.image_uid == b.image_uid


def test_identity_and_references() -> None:
    found = read_structure_set(PLAIN)
    assert (found.sop_instance_uid, found.label, found.approval_status) == (
        "2.25.11",
        "CN hn_oar",
        "UNAPPROVED",
    )
    assert found.frame_of_reference_uids == (SERIES.frame_of_reference_uid,)
    assert found.referenced_series_uids == (SERIES.series_uid,)
    assert found.referenced_image_uids == {image.sop_instance_uid for image in SERIES.slices}


def test_sequences_are_joined_by_number_and_not_by_order() -> None:
    def change(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ROINumber = 17
        dataset.ROIContourSequence[0].ReferencedROINumber = 17
        dataset.RTROIObservationsSequence[0].ReferencedROINumber = 17
        dataset.RTROIObservationsSequence[0].RTROIInterpretedType = "CTV"
        dataset.ROIContourSequence.reverse()
        dataset.RTROIObservationsSequence.reverse()

    larynx, parotid = changed(change).rois
    assert (larynx.number, larynx.name, larynx.interpreted_type) == (2, "Larynx", "ORGAN")
    assert (parotid.number, parotid.name, parotid.interpreted_type) == (17, "Parotid_L", "CTV")
    found = masks_on_grid(changed(change), SERIES)
    assert np.array_equal(found.by_number[17].full(ring().shape), ring())


def test_points_and_open_contours_fill_nothing_and_are_kept_apart() -> None:
    found = changed(
        only(
            contour("POINT", 1, 2, 3),
            contour("OPEN_PLANAR", 1, 2, 3, 4, 5, 3, 1, 5, 3),
            contour("CLOSED_PLANAR", 1, 2, 3, 4, 5, 3),
            square(-5),
        )
    ).rois[0]
    assert [c.geometric_type for c in found.others] == [
        GeometricType.POINT,
        GeometricType.OPEN_PLANAR,
        GeometricType.CLOSED_PLANAR,
    ]
    assert len(found.closed) == 1
    assert found.others[0].points_lps.tolist() == [[1, 2, 3]]


def test_an_roi_without_contours_or_without_an_item_is_kept_empty() -> None:
    def change(dataset: Dataset) -> None:
        del dataset.ROIContourSequence[0].ContourSequence
        del dataset.ROIContourSequence[1]
        del dataset.RTROIObservationsSequence[1]

    found = changed(change)
    assert [len(roi.contours) for roi in found.rois] == [0, 0]
    assert [mask.voxels() for mask in masks_on_grid(found, SERIES).by_number.values()] == [0, 0]


def test_no_contour_sequence_at_all() -> None:
    found = changed(lambda dataset: dataset.__delitem__("ROIContourSequence"))
    assert [roi.contours for roi in found.rois] == [(), ()]


# The square holds 3 columns (-8 <= x < -6: voxels at -8, -7.25, -6.5) and 4 rows (25, 26.5, 28, 29.5).
def test_gaps_between_slices_are_not_filled_and_told() -> None:
    assert planes(square(-7.5), square(0)) == (
        [12, 0, 0, 12],
        ("ROI 1 'Parotid_L': 2 slice(s) between its contours have none",),
    )


def test_a_plane_a_little_off_its_slice_is_taken_and_told() -> None:
    voxels, notes = planes(square(-5.3))
    assert voxels == [0, 12, 0, 0]
    assert notes == ("ROI 1 'Parotid_L': its planes lie up to 0.30 mm off the slices",)


def test_of_several_planes_in_one_slice_the_nearest_counts() -> None:
    voxels, notes = planes(square(-5), square(-4.2, -9, 0), square(-5.8, -9, 0))
    assert voxels == [0, 12, 0, 0]
    assert "2 contour(s) on planes further from their slice" in notes[0]


def test_a_volume_that_the_contours_do_not_enclose_is_told() -> None:
    def change(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[1].ROIVolume = "7"

    assert masks_on_grid(changed(change), SERIES).notes == (
        "ROI 2 'Larynx': states 7.000 cm3, its contours enclose 0.101 to 0.203, its voxels 0.203",
    )


def test_contours_outside_the_ct_or_across_slices_are_left_out_and_told() -> None:
    across = contour("CLOSED_PLANAR", -8, 24, -7.5, -6, 24, -7.5, -6, 24, 0)
    voxels, notes = planes(square(-5), square(40), across)
    assert voxels == [0, 12, 0, 0]
    assert "2 contour(s) outside the CT or across its slices" in notes[0]


def test_an_exact_repetition_is_not_a_hole_but_an_xor_contour_is() -> None:
    voxels, notes = planes(square(-5), square(-5))
    assert voxels == [0, 12, 0, 0]
    assert "1 contour(s) that repeat another" in notes[0]
    inner = square(-5, -8, -7)
    inner.ContourGeometricType = "CLOSEDPLANAR_XOR"
    outer = square(-5)
    outer.ContourGeometricType = "CLOSEDPLANAR_XOR"
    assert planes(outer, inner)[0] == [0, 4, 0, 0]


def test_another_frame_of_reference_is_refused_for_a_ct_and_unseen_for_a_grid() -> None:
    def change(dataset: Dataset) -> None:
        dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = "9.9"
        for roi in dataset.StructureSetROISequence:
            roi.ReferencedFrameOfReferenceUID = "9.9"

    found = changed(change)
    with pytest.raises(StructureSetUnreadable, match=r"9\.9"):
        masks_on_grid(found, SERIES)
    assert masks_on_grid(found, SERIES.volume.grid).by_number[1].voxels() == 96


def _double_number(dataset: Dataset) -> None:
    dataset.StructureSetROISequence.insert(0, copy.deepcopy(dataset.StructureSetROISequence[0]))


def _double_contours(dataset: Dataset) -> None:
    dataset.ROIContourSequence.insert(0, copy.deepcopy(dataset.ROIContourSequence[0]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_double_number, "the ROI Number twice, for 'Parotid_L' and"),
        (_double_contours, "has the ROI twice"),
        (only(contour("CLOSED_PLANAR", 1, 2, 3, 4)), "contour 1 has 4 coordinates"),
        (only(contour("SPLINE", 1, 2, 3)), "has type 'SPLINE'"),
    ],
)
def test_a_roi_that_contradicts_itself_is_out_and_the_others_stay(
    change: Callable[[Dataset], None], words: str
) -> None:
    found = changed(change)
    broken, larynx = found.rois
    assert words in broken.fault
    assert broken.contours == ()
    assert larynx.fault == ""
    masks = masks_on_grid(found, SERIES)
    assert set(masks.by_number) == {2}
    assert np.array_equal(masks.by_number[2].full(ring().shape), ring(3, 0))
    assert [note for note in masks.notes if "ROI 1 'Parotid_L' is left out" in note and words in note]


@pytest.mark.parametrize("text", [b"x", b"1.2.3", b"--1", b"1e", b"0x1", b"nan", b"1,5", b"1e999"])
def test_a_coordinate_that_is_no_number_takes_its_roi_out_and_no_other(text: bytes) -> None:
    damaged = PLAIN.replace(b"-8.375", text.ljust(6), 1)
    found = read_structure_set(damaged)
    assert [roi.fault for roi in found.rois] == [
        "Contour Data (3006,0050): a coordinate of contour 1 is no decimal number",
        "",
    ]
    masks = masks_on_grid(found, SERIES)
    assert set(masks.by_number) == {2}
    assert np.array_equal(masks.by_number[2].full(ring().shape), ring(3, 0))
    assert "ROI 1 'Parotid_L' is left out: Contour Data (3006,0050)" in masks.notes[0]


def test_a_roi_of_another_frame_of_reference_is_no_mask_on_this_ct() -> None:
    def change(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "9.9"

    found = changed(change)
    masks = masks_on_grid(found, SERIES)
    assert set(masks.by_number) == {2}
    assert masks.notes == (
        "ROI 1 'Parotid_L' is left out: it lies in frame of reference 9.9 (3006,0024), "
        f"the images in {SERIES.frame_of_reference_uid}",
    )
    assert set(masks_on_grid(found, SERIES.volume.grid).by_number) == {1, 2}


def _numbers(dataset: Dataset, first: str, second: str, third: str) -> None:
    for items, keyword, text in (
        (dataset.StructureSetROISequence, "ROINumber", first),
        (dataset.ROIContourSequence, "ReferencedROINumber", second),
        (dataset.RTROIObservationsSequence, "ReferencedROINumber", third),
    ):
        tag = Tag(keyword)
        raw = text.encode() + b" " * (len(text) % 2)
        items[0][tag] = RawDataElement(tag, "IS", len(raw), raw, 0, False, True)


@pytest.mark.parametrize(
    ("texts", "number"),
    [(("0", "0", "0"), 0), (("07", " 7", "+7"), 7), (("-5", "-05", "-5"), -5), (("7", "007", "7 "), 7)],
)
def test_numbers_are_compared_as_numbers(texts: tuple[str, str, str], number: int) -> None:
    found = changed(lambda dataset: _numbers(dataset, *texts))
    roi = next(roi for roi in found.rois if roi.name == "Parotid_L")
    assert (roi.number, roi.interpreted_type, roi.fault) == (number, "ORGAN", "")
    masks = masks_on_grid(found, SERIES)
    assert np.array_equal(masks.by_number[number].full(ring().shape), ring())


@pytest.mark.parametrize(
    ("text", "number"),
    [("2.0", 2), ("+0", 0), ("2.5", None), ("", None), ("1e2", None), ("x", None), ("\u0662", None)],
)
def test_whole_numbers_as_files_write_them(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_a_roi_without_a_number_is_left_out_with_a_note() -> None:
    def change(dataset: Dataset) -> None:
        del dataset.StructureSetROISequence[0].ROINumber
        del dataset.ROIContourSequence[0].ReferencedROINumber

    found = masks_on_grid(changed(change), SERIES)
    assert set(found.by_number) == {2}
    assert [note.partition(":")[0] for note in found.notes] == [
        "ROI 'Parotid_L' is left out",
        "1 item(s) of ROI Contour Sequence (3006,0039) are left out",
    ]


CORNERS = ((-8.0, 24.0), (-6.0, 24.0), (-6.0, 30.0), (-8.0, 30.0))


@pytest.mark.parametrize("order", [(1, 2, 3, 0), (3, 2, 1, 0), (2, 1, 0, 3), (0, 1, 2, 3, 0)])
def test_the_same_outline_from_another_point_or_backwards_is_a_repetition(order: tuple[int, ...]) -> None:
    again = contour("CLOSED_PLANAR", *(v for k in order for v in (*CORNERS[k], -5.0)))
    alone, _ = planes(square(-5))
    both, notes = planes(square(-5), again)
    assert alone[1] > 0
    assert both == alone
    assert notes == ("ROI 1 'Parotid_L': 1 contour(s) that repeat another's outline are left out",)


def test_parts_that_overlap_are_read_by_the_even_odd_rule_and_this_is_said() -> None:
    one, other = square(-5, -10, -5), square(-5, -8, -3)
    a, b = planes(one)[0][1], planes(other)[0][1]
    shared = planes(square(-5, -8, -5))[0][1]
    counts, notes = planes(one, other)
    assert shared > 0
    assert counts[1] == a + b - 2 * shared
    assert notes == (
        "ROI 1 'Parotid_L': contours overlap in part on 1 slice(s); "
        f"read by the even-odd rule, which leaves out {shared} voxel(s) of their union",
    )


def test_files_that_are_no_structure_set_are_refused() -> None:
    image = part10(slice_dataset(np.zeros((2, 2), np.int16)))
    for data in (b"", b"hello", PLAIN[:300], PLAIN[: len(PLAIN) // 2], image):
        with pytest.raises(StructureSetUnreadable):
            read_structure_set(data)


def test_a_value_of_the_wrong_kind_is_refused_with_the_reason() -> None:
    explicit = part10(dcmread(io.BytesIO(PLAIN)), ExplicitVRLittleEndian)
    spoiled = explicit.replace(b"\x08\x00\x16\x00UI", b"\x08\x00\x16\x00FD")
    with pytest.raises(StructureSetUnreadable, match="cannot be read as DICOM"):
        read_structure_set(spoiled)

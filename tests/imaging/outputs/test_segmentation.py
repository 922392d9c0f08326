from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from imaging.ct.series import ImageSeries, read_ct
from imaging.outputs import OutputsNotWritable, make_segmentation
from imaging.outputs.frames import decimal_text, frames_of, packed
from imaging.structures import CATALOGUE
from imaging.volumes.volume import Mask
from phantoms.dicom import CtExport, ct_files
from phantoms.geometry import geometry_phantom, marked_solids, uneven_grid
from phantoms.positions import PatientPosition
from tests.imaging.outputs.files import errors_of, needs_dciodvfy, read, segments, segments_by_place
from tests.imaging.outputs.requests import masks, request
from tests.imaging.structure_sets import SHAPE, ct_series, no_names, ring

PHANTOM = geometry_phantom(uneven_grid(), marked_solids())
CODES = ("Brainstem", "Mandible", "Larynx")


def image_uids(series: ImageSeries) -> list[str]:
    return [image.sop_instance_uid for image in series.slices]


def as_contoured(position: PatientPosition) -> tuple[ImageSeries, dict[str, np.ndarray]]:
    """The phantom as a CT in this position, and its solids by their HU on that CT's own grid."""
    series = read_ct(ct_files(PHANTOM.volume, CtExport(position=position)))
    hu = series.volume.array_zyx
    return series, {code: hu == number * 100 for number, code in enumerate(CODES, 1)}


@pytest.mark.parametrize("position", list(PatientPosition))
def test_segments_come_back_voxel_by_voxel_in_every_position(position: PatientPosition) -> None:
    series, solids = as_contoured(position)
    assert all(solid.any() for solid in solids.values())
    data = make_segmentation(request(series, solids))
    expected = np.stack(list(solids.values()), axis=-1)
    assert np.array_equal(segments(data, image_uids(series)), expected)
    assert np.array_equal(segments_by_place(data, series.volume.grid), expected)


@needs_dciodvfy
@pytest.mark.parametrize("position", [PatientPosition.HFS, PatientPosition.FFP, PatientPosition.HFDL])
def test_dciodvfy_finds_no_error_in_a_position(position: PatientPosition, tmp_path: Path) -> None:
    assert errors_of(make_segmentation(request(*as_contoured(position))), tmp_path) == []


@needs_dciodvfy
def test_dciodvfy_finds_no_error_where_the_ct_lacks_what_is_optional(tmp_path: Path) -> None:
    assert errors_of(make_segmentation(request(ct_series(spoil=no_names))), tmp_path) == []


def test_overlapping_structures_keep_their_voxels_and_empty_ones_have_no_segment() -> None:
    series, given = ct_series(), masks()
    data = make_segmentation(request(series, given))
    d = read(data)
    assert [s.SegmentLabel for s in d.SegmentSequence] == ["Parotid_L", "Larynx"]
    assert (d.SegmentationType, d.SegmentsOverlap) == ("BINARY", "YES")
    expected = np.stack([given["Parotid_L"], given["Larynx"]], axis=-1)
    assert expected.all(axis=-1).any()
    assert np.array_equal(segments(data, image_uids(series)), expected)


def test_only_slices_that_a_structure_meets_have_frames() -> None:
    series = ct_series()
    gap = np.zeros(SHAPE, np.bool_)
    gap[0, 2, 3] = gap[3, 11, 13] = True
    d = read(make_segmentation(request(series, {"Larynx": ring(3, 0), "Mandible": gap})))
    assert (d.NumberOfFrames, d.Rows, d.Columns) == (4, 12, 14)
    frames = [
        (
            item.SegmentIdentificationSequence[0].ReferencedSegmentNumber,
            item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID,
            item.FrameContentSequence[0].DimensionIndexValues,
        )
        for item in d.PerFrameFunctionalGroupsSequence
    ]
    uids = image_uids(series)
    assert frames == [(1, uids[1], [1, 2]), (1, uids[2], [1, 3]), (2, uids[0], [2, 1]), (2, uids[3], [2, 4])]
    assert len(d.PixelData) == 84  # 4 frames of 12 x 14 bits
    assert (d.SegmentsOverlap, d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing) == (
        "NO",
        [1.5, 0.75],
    )


def test_frames_have_the_images_own_words_for_where_they_lie() -> None:
    series = ct_series()
    d = read(make_segmentation(request(series, {"Larynx": ring(3, 0)})))
    placed = [
        item.PlanePositionSequence[0].get_item("ImagePositionPatient").value.decode().strip()
        for item in d.PerFrameFunctionalGroupsSequence
    ]
    assert placed == ["-10.25\\20.5\\-5.0000", "-10.25\\20.5\\-2.5"]
    (shared,) = d.SharedFunctionalGroupsSequence
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert shared.PixelMeasuresSequence[0].SpacingBetweenSlices == 2.5
    assert (
        shared.PixelMeasuresSequence[0].SliceThickness == 2.5
    )  # the CT states none: slices lie that far apart


def test_slices_are_as_thick_as_the_ct_says() -> None:
    def spoil(dataset: Dataset) -> None:
        dataset.SliceThickness = "1.25"

    d = read(make_segmentation(request(ct_series(spoil=spoil))))
    assert d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == 1.25


def test_each_segment_is_coded_tracked_coloured_and_says_which_model_made_it() -> None:
    d = read(make_segmentation(request(ct_series())))
    segment = d.SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("hn_oar", "3")
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    (kind,) = segment.SegmentedPropertyTypeCodeSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("45289007", "SCT")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert segment.TrackingUID.startswith("2.25.")
    assert segment.TrackingUID != d.SegmentSequence[1].TrackingUID
    colour = hd.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb()
    assert np.allclose(colour, CATALOGUE["Parotid_L"].colour_rgb, atol=1)
    assert "UNAPPROVED" in d.SeriesDescription


def test_a_structure_without_codes_gets_a_private_one_that_the_file_explains() -> None:
    series = ct_series()
    made = request(series, {"Larynx": ring(3, 0)})
    unknown = replace(CATALOGUE["Larynx"], code="Flap", name="Flap", concept=None)
    d = read(make_segmentation(replace(made, structures=[replace(made.structures[0], structure=unknown)])))
    kind = d.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == (
        "Flap",
        "99CONTOURNODE",
        "Flap",
    )
    assert [s.CodingSchemeDesignator for s in d.CodingSchemeIdentificationSequence] == ["99CONTOURNODE"]


def test_every_image_of_the_ct_is_referenced() -> None:
    series = ct_series()
    d = read(make_segmentation(request(series)))
    (referenced,) = d.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == series.series_uid
    assert [i.ReferencedSOPInstanceUID for i in referenced.ReferencedInstanceSequence] == image_uids(series)
    assert (d.FrameOfReferenceUID, d.StudyInstanceUID) == (series.frame_of_reference_uid, series.study_uid)


def test_the_same_request_makes_the_same_bytes_and_another_job_other_uids() -> None:
    made = request(ct_series())
    data = make_segmentation(made)
    assert data == make_segmentation(made)
    other, one = read(make_segmentation(replace(made, job_uid="another"))), read(data)
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert one[keyword].value != other[keyword].value


def test_lossy_compression_of_the_ct_is_passed_on() -> None:
    def spoil(dataset: Dataset) -> None:
        dataset.LossyImageCompression, dataset.LossyImageCompressionRatio = "01", "12.5"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"

    d = read(make_segmentation(request(ct_series(spoil=spoil))))
    assert (d.LossyImageCompression, d.LossyImageCompressionRatio) == ("01", 12.5)
    assert read(make_segmentation(request(ct_series()))).LossyImageCompression == "00"


def test_nothing_found_is_refused() -> None:
    with pytest.raises(OutputsNotWritable, match="no structure has a voxel"):
        make_segmentation(request(ct_series(), {"Larynx": np.zeros(SHAPE, np.bool_)}))


def test_frames_whose_pixels_fill_no_whole_byte_follow_each_other_without_gap() -> None:
    rng = np.random.default_rng(7)
    full = rng.random((5, 3, 5)) < 0.4  # 15 bits a frame
    mask = Mask.from_full(full)
    frames = frames_of([mask])
    data = b"".join(packed([mask], frames, (3, 5)))
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: 15 * len(frames)]
    assert np.array_equal(bits.reshape(-1, 3, 5), full[full.any(axis=(1, 2))])
    assert len(data) == -(-15 * len(frames) // 8)


def test_a_decimal_string_is_shortened_to_what_its_vr_holds() -> None:
    assert decimal_text(" -12.50 ") == "-12.50"
    assert decimal_text("-0.12345678901234567") == "-0.1234567890123"
    assert len(decimal_text("-1.2345678901234567e-005")) <= 16

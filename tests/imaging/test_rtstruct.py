import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from imaging.contours.exact import PlanarContour
from imaging.errors import StructureSetNotWritable
from imaging.rtstruct.writing import RoiContours, masks_on_grid, read_structure_set, write_structure_set
from imaging.structures import CATALOGUE
from tests.imaging.structure_sets import CREATED, PRODUCER, ct_series, no_names, request, ring


def written(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


def test_pydicom_reads_every_attribute_that_a_planning_system_needs() -> None:
    series = ct_series()
    d = written(write_structure_set(request(series)))
    assert d.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID == "2.25.11"
    assert (d.Modality, d.SeriesInstanceUID, d.StudyInstanceUID) == ("RTSTRUCT", "2.25.12", series.study_uid)
    assert (d.StructureSetLabel, d.ApprovalStatus) == ("CN hn_oar", "UNAPPROVED")
    assert (d.StructureSetDate, d.StructureSetTime) == ("20260304", "223015")
    assert d.StructureSetDescription == "Contoured by a model. For research use, not approved."
    assert (d.Manufacturer, d.SoftwareVersions, d.OperatorsName) == ("Contour Node", "0.1.0", "")
    assert d.FrameOfReferenceUID == series.frame_of_reference_uid
    (frame,) = d.ReferencedFrameOfReferenceSequence
    assert frame.FrameOfReferenceUID == series.frame_of_reference_uid
    (study,) = frame.RTReferencedStudySequence
    (referenced,) = study.RTReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == series.series_uid
    images = [image.ReferencedSOPInstanceUID for image in referenced.ContourImageSequence]
    assert images == [image.sop_instance_uid for image in series.slices]
    for number, roi in enumerate(d.StructureSetROISequence, 1):
        assert (roi.ROINumber, roi.ROIGenerationAlgorithm) == (number, "AUTOMATIC")
        assert roi.ROIGenerationDescription == "hn_oar 3, research use"
        assert roi.ReferencedFrameOfReferenceUID == series.frame_of_reference_uid
        (algorithm,) = roi.ROIDerivationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("hn_oar", "3")
    assert [roi.ROIName for roi in d.StructureSetROISequence] == ["Parotid_L", "Larynx"]
    assert [o.ReferencedROINumber for o in d.RTROIObservationsSequence] == [1, 2]
    assert [o.RTROIInterpretedType for o in d.RTROIObservationsSequence] == ["ORGAN", "ORGAN"]
    assert d.RTROIObservationsSequence[0].RTROIIdentificationCodeSequence[0].CodeValue == "59798"
    # 64 - 16 voxels of 2.5 x 1.5 x 0.75 mm on each of two slices; 36 for the solid one
    assert d.StructureSetROISequence[0].ROIVolume == pytest.approx(2 * 48 * 2.8125 / 1000)
    assert d.StructureSetROISequence[1].ROIVolume == pytest.approx(2 * 36 * 2.8125 / 1000)


@pytest.mark.parametrize("explicit", [False, True])
def test_each_contour_names_its_image_and_has_that_images_own_z(explicit: bool) -> None:
    series = ct_series()
    d = written(write_structure_set(request(series, explicit_vr=explicit)))
    assert d.file_meta.TransferSyntaxUID == (ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian)
    (parotid, larynx) = d.ROIContourSequence
    assert parotid.ROIDisplayColor == list(CATALOGUE["Parotid_L"].colour_rgb)
    assert (parotid.ReferencedROINumber, larynx.ReferencedROINumber) == (1, 2)
    for contour, image in zip(parotid.ContourSequence, series.slices[1:3], strict=True):
        assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == image.sop_instance_uid
        assert contour.ContourGeometricType == "CLOSED_PLANAR"
        raw = contour.get_item("ContourData")
        assert isinstance(raw, RawDataElement)
        assert raw.value is not None
        texts = raw.value.decode().rstrip().split("\\")
        assert len(texts) == 3 * contour.NumberOfContourPoints
        assert set(texts[2::3]) == {image.position[2]}
        assert all(0 < len(text) <= 16 for text in texts)
        assert texts[:2] == ["-8.375", "22.75"]  # -10.25 + 0.75 * 2.5, 20.5 + 1.5 * 1.5


def test_the_file_is_whole_even_and_the_same_each_time() -> None:
    make = request(ct_series())
    data = write_structure_set(make)
    assert data == write_structure_set(make)
    assert len(data) % 2 == 0
    again = io.BytesIO()
    written(data).save_as(again)
    assert len(again.getvalue()) == len(data)


def test_a_patients_name_survives_byte_for_byte_in_any_character_set() -> None:
    for charset, name in (
        ("ISO_IR 192", "Śliwa^Łucja"),
        ("ISO_IR 144", "Иванов^Иван"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "王^小东"),
    ):

        def spoil(dataset: Dataset, charset: str = charset, name: str = name) -> None:
            dataset.SpecificCharacterSet, dataset.PatientName = charset, name

        series = ct_series(spoil=spoil)
        data = write_structure_set(request(series))
        raw = series.header.get_item("PatientName")
        assert isinstance(raw, RawDataElement)
        assert raw.value is not None
        assert raw.value in data
        d = written(data)
        assert str(d.PatientName) == name
        assert d.SpecificCharacterSet == charset


def test_attributes_that_the_ct_lacks_are_empty_and_none_is_invented() -> None:
    d = written(write_structure_set(request(ct_series(spoil=no_names))))
    assert "SpecificCharacterSet" not in d
    for keyword in ("PatientName", "PatientID", "StudyID", "StudyDate", "PatientSex", "AccessionNumber"):
        assert keyword in d
        assert not d[keyword].value


def test_times_are_told_in_the_zone_of_the_ct() -> None:
    def spoil(dataset: Dataset) -> None:
        dataset.TimezoneOffsetFromUTC = "+0530"

    d = written(write_structure_set(request(ct_series(spoil=spoil))))
    assert (d.StructureSetDate, d.StructureSetTime, d.TimezoneOffsetFromUTC) == (
        "20260305",
        "040015",
        "+0530",
    )


@pytest.mark.parametrize(
    "orientation",
    [
        (1, 0, 0, 0, 1, 0),
        (-1, 0, 0, 0, -1, 0),
        (-1, 0, 0, 0, 1, 0),
        (1, 0, 0, 0, -1, 0),
        (0, 1, 0, -1, 0, 0),
        (0, -1, 0, -1, 0, 0),
    ],
)
@pytest.mark.parametrize("explicit", [False, True])
def test_masks_come_back_exactly_from_the_file(orientation: tuple[float, ...], explicit: bool) -> None:
    series = ct_series(orientation)
    rng = np.random.default_rng(5)
    noise = rng.random(series.volume.grid.shape_zyx) < 0.5
    masks = {"Parotid_L": ring(), "Larynx": noise, "Mandible": np.zeros_like(noise), "Esophagus": ~noise}
    found = read_structure_set(write_structure_set(request(series, masks, explicit_vr=explicit)))
    read = masks_on_grid(found, series)
    assert [roi.name for roi in found.rois] == ["Parotid_L", "Larynx", "Bone_Mandible", "Esophagus"]
    for number, full in enumerate(masks.values(), 1):
        assert np.array_equal(read.by_number[number].full(full.shape), full)
    assert found.rois[2].contours == ()
    assert read.notes == ()


def test_an_oblique_stack_comes_back_exactly() -> None:
    c, s = np.cos(0.1), np.sin(0.1)
    orientation = (1.0, 0.0, 0.0, 0.0, round(c, 12), round(-s, 12))
    positions = [("0", f"{2 * k * s:.9f}", f"{2 * k * c:.9f}") for k in range(4)]

    def spoil(dataset: Dataset) -> None:
        dataset.ImagePositionPatient = list(positions[dataset.InstanceNumber - 1])

    series = ct_series(orientation, spoil=spoil)
    noise = np.random.default_rng(6).random(series.volume.grid.shape_zyx) < 0.4
    read = masks_on_grid(read_structure_set(write_structure_set(request(series, {"Larynx": noise}))), series)
    assert np.array_equal(read.by_number[1].full(noise.shape), noise)


def test_requests_that_no_structure_set_can_hold_are_refused() -> None:
    good = request(ct_series())
    roi = good.rois[0]
    two_points = PlanarContour(slice_index=0, points_lps=np.zeros((2, 3)))
    beyond = PlanarContour(slice_index=4, points_lps=np.zeros((3, 3)))
    not_finite = PlanarContour(slice_index=0, points_lps=np.full((3, 3), np.nan))
    huge = PlanarContour(slice_index=0, points_lps=np.full((3, 3), 1e11 + 0.1234))
    for changes, words in (
        ({"rois": []}, "at least one ROI"),
        ({"label": "a label of 17 ch."}, "Structure Set Label"),
        ({"label": ""}, "Structure Set Label"),
        ({"created": CREATED.replace(tzinfo=None)}, "time zone"),
        ({"decimals": 9}, "decimals"),
        ({"description": "x" * 1024}, "Structure Set Description"),
        ({"rois": [roi, replace(roi, name="PAROTID_L")]}, "occurs twice"),
        ({"rois": [replace(roi, name="a\\b")]}, "ROI Name"),
        ({"rois": [replace(roi, name="łuk")], "series": ct_series(spoil=no_names)}, "Specific Character Set"),
        ({"rois": [replace(roi, contours=[two_points])]}, "2 points"),
        ({"rois": [replace(roi, contours=[beyond])]}, "slice 4"),
        ({"rois": [replace(roi, contours=[not_finite])]}, "finite"),
        ({"rois": [replace(roi, contours=[huge])]}, "longer than 16"),
        ({"producer": replace(PRODUCER, algorithm_name="m" * 60)}, "ROI Generation Description"),
    ):
        with pytest.raises(StructureSetNotWritable, match=words):
            write_structure_set(replace(good, **changes))  # type: ignore[arg-type]


def test_a_name_in_the_cts_own_alphabet_is_written() -> None:
    good = request(ct_series())
    named = replace(good, rois=[replace(good.rois[0], name="Ślinianka L")])
    assert written(write_structure_set(named)).StructureSetROISequence[0].ROIName == "Ślinianka L"


def circle(points: int) -> PlanarContour:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    xyz = np.stack([3 * np.cos(angle) - 5, 3 * np.sin(angle) + 28, np.full(points, -5.0)], axis=1)
    return PlanarContour(slice_index=1, points_lps=xyz)


def test_a_contour_too_long_for_explicit_vr_is_refused_there_and_kept_as_text_in_implicit() -> None:
    good = request(ct_series())
    long = replace(
        good, rois=[RoiContours(structure=CATALOGUE["Larynx"], name="Larynx", contours=[circle(4000)])]
    )
    (roi,) = read_structure_set(write_structure_set(long)).rois
    assert len(roi.contours[0].points_lps) == 4000
    with pytest.raises(StructureSetNotWritable, match=r"3006,0050"):
        write_structure_set(replace(long, explicit_vr=True))


@pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed"
)
@pytest.mark.parametrize("explicit", [False, True])
def test_dciodvfy_finds_no_error(tmp_path: Path, explicit: bool) -> None:
    masks = {"Parotid_L": ring(), "Larynx": ring(3, 0), "Mandible": np.zeros_like(ring())}
    file = tmp_path / "rs.dcm"
    file.write_bytes(write_structure_set(request(ct_series(), masks, explicit_vr=explicit)))
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []
    assert done.returncode == 0


def test_roi_numbers_are_those_asked_for_in_all_three_sequences_and_the_lowest_free_otherwise() -> None:
    asked = request(ct_series(), {"Parotid_L": ring(), "Larynx": ring(3, 0), "Mandible": ring(2, 0)})
    numbers = (2, None, 977)
    rois = [replace(roi, number=number) for roi, number in zip(asked.rois, numbers, strict=True)]
    data = write_structure_set(replace(asked, rois=rois))
    d = written(data)
    assert [roi.ROINumber for roi in d.StructureSetROISequence] == [2, 1, 977]
    assert [roi.ROIName for roi in d.StructureSetROISequence] == ["Parotid_L", "Larynx", "Bone_Mandible"]
    assert [item.ReferencedROINumber for item in d.ROIContourSequence] == [2, 1, 977]
    assert [item.ReferencedROINumber for item in d.RTROIObservationsSequence] == [2, 1, 977]
    masks = masks_on_grid(read_structure_set(data), ct_series()).by_number
    assert np.array_equal(masks[977].full(ring().shape), ring(2, 0))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((7, 7), "'Parotid_L' and 'Larynx' both have ROI Number .3006,0022. 7"),
        ((0, None), "ROI Number .3006,0022. 0; numbers from 1"),
        ((None, 2**31), "ROI Number .3006,0022. 2147483648; numbers from 1 to 2147483647"),
    ],
)
def test_roi_numbers_that_no_set_can_have_are_refused(numbers: tuple[int | None, ...], words: str) -> None:
    asked = request(ct_series())
    rois = [replace(roi, number=number) for roi, number in zip(asked.rois, numbers, strict=True)]
    with pytest.raises(StructureSetNotWritable, match=words):
        write_structure_set(replace(asked, rois=rois))


@pytest.mark.parametrize("text", ["", " ", "A" * 65, "A\\B", " A"])
def test_a_series_description_that_is_no_long_string_is_refused(text: str) -> None:
    with pytest.raises(StructureSetNotWritable, match="Series Description"):
        write_structure_set(request(ct_series(), series_description=text))


def test_a_series_description_of_64_characters_is_written() -> None:
    data = write_structure_set(request(ct_series(), series_description="A" * 64))
    assert dcmread(io.BytesIO(data)).SeriesDescription == "A" * 64

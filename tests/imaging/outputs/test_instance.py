from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement

from imaging.outputs import OutputsRequest, make_capture, make_report, make_segmentation
from tests.imaging.outputs.files import errors_of, needs_dciodvfy, read
from tests.imaging.outputs.requests import request
from tests.imaging.structure_sets import ct_series, no_names

CHARSETS = Path(__file__).parents[4] / "shared" / "data" / "awkward" / "charsets"
Make = Callable[[OutputsRequest], bytes]
MAKERS: list[Make] = [make_segmentation, partial(make_report, cites_segmentation=True), make_capture]
TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime")


def named(charset: str, name: str) -> Callable[[Dataset], None]:
    def spoil(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = charset, name

    return spoil


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Śliwa^Łucja"),
        ("ISO_IR 144", "Иванов^Иван"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("GB18030", "王^小东"),
    ],
)
def test_a_patients_name_survives_byte_for_byte(make: Make, charset: str, name: str) -> None:
    series = ct_series(spoil=named(charset, name))
    raw = series.header.get_item("PatientName")
    assert isinstance(raw, RawDataElement)
    assert raw.value is not None
    data = make(request(series))
    assert raw.value in data
    d = read(data)
    assert (str(d.PatientName), d.SpecificCharacterSet) == (name, charset)
    assert d.PatientID == "P1"


@pytest.mark.shared_data
@pytest.mark.skipif(not CHARSETS.is_dir(), reason="the files beside the project (../shared/data) are absent")
@pytest.mark.filterwarnings("ignore")  # the files themselves are not clean
def test_names_of_real_systems_survive_byte_for_byte() -> None:
    plain, met = ct_series(), 0
    for file in sorted(CHARSETS.rglob("*.dcm")):
        header = dcmread(file, stop_before_pixels=True)
        name = header.get_item("PatientName") if "PatientName" in header else None
        if not isinstance(name, RawDataElement) or not name.value:
            continue
        for keyword in ("ImageOrientationPatient", "PixelSpacing"):
            header[keyword] = plain.header[keyword]
        made = request(replace(plain, header=header), notes=())
        for make in MAKERS:
            d = read(make(made))
            found = d.get_item("PatientName")
            assert isinstance(found, RawDataElement)
            assert found.value == name.value, file.name
            assert str(d.PatientName) == str(dcmread(file, stop_before_pixels=True).PatientName), file.name
        met += 1
    assert met >= 20


@pytest.mark.parametrize("make", MAKERS)
def test_what_the_ct_lacks_is_empty_and_nothing_is_invented(make: Make) -> None:
    d = read(make(request(ct_series(spoil=no_names))))
    assert "SpecificCharacterSet" not in d
    for keyword in TYPE_2:
        assert keyword in d
    for keyword in ("PatientName", "PatientID", "StudyID", "StudyDate"):
        assert not d[keyword].value


@pytest.mark.parametrize("make", MAKERS)
def test_times_are_told_in_the_zone_of_the_ct(make: Make) -> None:
    def spoil(dataset: Dataset) -> None:
        dataset.TimezoneOffsetFromUTC = "+0530"

    d = read(make(request(ct_series(spoil=spoil))))
    assert d.TimezoneOffsetFromUTC == "+0530"
    assert (d.ContentDate, d.ContentTime) == ("20260305", "040015")  # 22:30:15 UTC the day before
    assert (d.SeriesDate, d.InstanceCreationTime) == ("20260305", "040015")
    assert read(make(request(ct_series()))).ContentTime == "223015"


def test_the_objects_are_series_of_their_own_in_the_study_of_the_ct() -> None:
    series = ct_series()
    made = [read(make(request(series))) for make in MAKERS]
    assert {d.StudyInstanceUID for d in made} == {series.study_uid}
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
        assert len({d[keyword].value for d in made}) == 3
    assert [d.SeriesNumber for d in made] == [9101, 9102, 9103]
    assert all("UNAPPROVED" in d.SeriesDescription for d in made)
    assert all(d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID for d in made)


@needs_dciodvfy
@pytest.mark.parametrize("make", MAKERS)
def test_dciodvfy_finds_no_error_in_a_unicode_patient(make: Make, tmp_path: Path) -> None:
    assert errors_of(make(request(ct_series())), tmp_path) == []

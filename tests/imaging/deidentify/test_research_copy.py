"""Phantoms with a patient: what is kept, what goes, and the same every time."""

import io
from datetime import timedelta

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import SecondaryCaptureImageStorage

from imaging.deidentify import DeidentificationOptions, DeidentificationRefused, ProjectKey, deidentify
from imaging.deidentify.names import is_harmless
from imaging.deidentify.values import age, moved
from phantoms.dicom import ct_files
from tests.support.small_node import small_volume

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
KEY, OTHER = ProjectKey(b"a" * 32), ProjectKey(b"b" * 32)


@pytest.fixture(scope="module")
def slices() -> list[bytes]:
    return [_with_a_patient(source.data) for source in ct_files(small_volume())[:3]]


def _with_a_patient(data: bytes, **more: object) -> bytes:
    dataset = dcmread(io.BytesIO(data))
    dataset.PatientName = "Grünfeld^Ottilie"
    dataset.PatientID = "MRN-4471123"
    dataset.PatientAge = "093Y"
    dataset.PatientSex = "F"
    dataset.PatientWeight = "61"
    dataset.InstitutionName = "Clinic of Testhausen"
    dataset.ReferringPhysicianName = "Sonnenschein^Karl"
    dataset.StudyDescription = "Grünfeld planning"
    dataset.StudyDate = "20240229"
    dataset.StudyTime = "101500"
    dataset.BodyPartExamined = "HEADNECK"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.add_new(0x00091010, "LO", "Grünfeld in private")
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def read(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


def test_names_ids_and_places_go_and_what_research_needs_stays(slices: list[bytes]) -> None:
    made = deidentify(slices[0], KEY, DeidentificationOptions())
    for text in ("Grünfeld", "MRN-4471123", "Testhausen", "Sonnenschein", "20240229"):
        assert text.encode("latin-1") not in made.data
    copy, original = read(made.data), read(slices[0])
    assert copy.PatientID == str(copy.PatientName) == made.pseudonym
    assert (copy.PatientSex, copy.PatientAge, copy.PatientWeight) == ("F", "090Y", 61)
    assert (copy.PatientIdentityRemoved, copy.LongitudinalTemporalInformationModified) == ("YES", "MODIFIED")
    codes = [item.CodeValue for item in copy.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108"]
    assert copy.PixelData == original.PixelData
    assert copy.ImagePositionPatient == original.ImagePositionPatient
    assert not any(element.tag.is_private for element in copy)


def test_without_options_dates_and_characteristics_go_too(slices: list[bytes]) -> None:
    plain = DeidentificationOptions(
        modified_dates=False, patient_characteristics=False, clean_descriptors=False
    )
    copy = read(deidentify(slices[0], KEY, plain).data)
    assert copy.StudyDate == ""
    assert copy.PatientSex == ""
    assert "PatientAge" not in copy
    assert copy.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in copy.DeidentificationMethodCodeSequence] == ["113100"]


def test_one_project_has_one_answer_and_another_project_another(slices: list[bytes]) -> None:
    first, again, second = (
        deidentify(data, KEY, DeidentificationOptions()) for data in (slices[0], slices[0], slices[1])
    )
    assert first.data == again.data
    assert read(first.data).StudyInstanceUID == read(second.data).StudyInstanceUID
    assert read(first.data).FrameOfReferenceUID == read(second.data).FrameOfReferenceUID
    assert read(first.data).SOPInstanceUID != read(second.data).SOPInstanceUID
    elsewhere = deidentify(slices[0], OTHER, DeidentificationOptions())
    assert elsewhere.pseudonym != first.pseudonym
    assert not set(elsewhere.uids) & set(first.uids)
    assert {first.uids[uid] for uid in first.uids} == set(elsewhere.uids.values())


def test_intervals_between_dates_stay(slices: list[bytes]) -> None:
    later = _with_a_patient(ct_files(small_volume())[0].data, StudyDate="20240307", ContentDate="2024.03.08")
    before, after = (
        read(deidentify(data, KEY, DeidentificationOptions()).data) for data in (slices[0], later)
    )
    shift = KEY.shift("\\MRN-4471123")
    assert before.StudyDate == moved("20240229", "DA", shift)
    assert after.StudyDate == moved("20240307", "DA", shift)
    assert after.ContentDate == moved("20240308", "DA", shift)
    assert timedelta(days=-3650) <= shift <= timedelta(days=-30)


def test_a_name_where_nobody_expects_it_is_taken_out(slices: list[bytes]) -> None:
    data = _with_a_patient(
        ct_files(small_volume())[0].data, ManufacturerModelName="Scanner of Dr. SONNENSCHEIN"
    )
    copy = read(deidentify(data, KEY, DeidentificationOptions()).data)
    assert copy.ManufacturerModelName == "REMOVED"


def test_a_name_in_an_attribute_that_is_to_be_kept_is_refused(slices: list[bytes]) -> None:
    data = _with_a_patient(ct_files(small_volume())[0].data, EthnicGroup="grünfeld")
    with pytest.raises(DeidentificationRefused, match="EthnicGroup"):
        deidentify(data, KEY, DeidentificationOptions())


def test_burned_in_annotation_is_refused_unless_somebody_has_looked(slices: list[bytes]) -> None:
    data = _with_a_patient(ct_files(small_volume())[0].data, BurnedInAnnotation="YES")
    with pytest.raises(DeidentificationRefused, match="0028,0301"):
        deidentify(data, KEY, DeidentificationOptions(), "slice 1")
    assert deidentify(data, KEY, DeidentificationOptions(allow_burned_in=True)).data


def test_what_the_table_alone_does_not_clean_is_refused(slices: list[bytes]) -> None:
    data = _with_a_patient(slices[0], SOPClassUID=SecondaryCaptureImageStorage)
    with pytest.raises(DeidentificationRefused, match="Secondary Capture"):
        deidentify(data, KEY, DeidentificationOptions())
    with pytest.raises(DeidentificationRefused, match="cannot be read"):
        deidentify(b"nothing", KEY, DeidentificationOptions())


def test_patients_without_an_id_are_told_apart_by_their_studies(slices: list[bytes]) -> None:
    one = _with_a_patient(slices[0], PatientID="")
    other = _with_a_patient(slices[0], PatientID="", StudyInstanceUID="1.2.3.4.5")
    assert (
        deidentify(one, KEY, DeidentificationOptions()).pseudonym
        != deidentify(other, KEY, DeidentificationOptions()).pseudonym
    )


@pytest.mark.parametrize(
    ("value", "vr", "expected"),
    [
        ("20240301", "DA", "20240229"),
        ("20240101", "DA", "20231231"),
        ("2024.01.01", "DA", "20231231"),
        ("20240101120000.5+0100", "DT", "20231231120000.5+0100"),
        ("20240101", "DT", "20231231"),
        ("120000.25", "TM", "120000.25"),
        ("20241301", "DA", ""),
        ("202401", "DT", ""),
        ("Grünfeld", "DA", ""),
        ("20240101Grünfeld", "DT", ""),
        ("12 Uhr", "TM", ""),
        ("00010101", "DA", ""),
    ],
)
def test_dates_are_moved_and_what_is_no_date_goes(value: str, vr: str, expected: str) -> None:
    assert moved(value, vr, timedelta(days=-1)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("042Y", "042Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("old", "")],
)
def test_the_very_old_are_all_ninety(value: str, expected: str) -> None:
    assert age(value) == expected


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        ("Brainstem", True),
        ("bone_mandible", True),
        ("PTV_7000", True),
        ("GTVp1", True),
        ("BODY", True),
        ("Hirnstamm", True),
        ("GTV Meier", False),
        ("Dr Meier", False),
        ("", False),
    ],
)
def test_names_of_structures_are_harmless_where_anatomy_gave_them(name: str, harmless: bool) -> None:
    assert is_harmless(name, DeidentificationOptions(harmless_names=frozenset({"Hirnstamm"}))) is harmless


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Kim^Lee", "replan Kim Lee", True),
        ("Kim^Lee", "Lee, Kim", True),
        ("Kim^Lee", "KimLee", True),
        ("Kim^Lee", "Lee kernel", False),
        ("Wang^XiaoMing=王^小明", "王小明 头颈", True),
        ("Yamada^Tarou=山田^太郎", "山田 太郎 H&N", True),
        ("Yamada^Tarou=山田^太郎", "太郎", True),
        ("Hong^Gildong=洪^吉洞=홍^길동", "계획 홍길동", True),
        ("Hong^Gildong=洪^吉洞=홍^길동", "홍 길동", True),
        ("Mustermann^Erika", "MustermannErika_HN", True),
        ("Mustermann^Erika", "Mustermann2 HN", True),
        ("Mustermann^Erika", "\uff2d\uff35\uff33\uff34\uff25\uff32\uff2d\uff21\uff2e\uff2e", True),
        ("Müller^Jörg", "Mueller HN", True),
        ("Mueller^Jörg", "Müller HN", True),
        ("Müller^Jörg", "MULLER", True),
        ("Иванова^Анна", "ИВАНОВА", True),
        ("Ζαχαρίας^Νίκος", "ΖΑΧΑΡΙΑΣ", True),
        ("King^Tom", "KingTom", True),
        ("King^Tom", "for King", True),
        ("Tom^Kai", "Tom kernel", False),
        ("Mustermann^Erika", "Soft tissue", False),
        ("王^小明", "头颈", False),
    ],
)
def test_a_name_is_found_in_every_alphabet_and_writing(
    slices: list[bytes], name: str, text: str, found: bool
) -> None:
    data = _with_a_patient(
        slices[0],
        SpecificCharacterSet="ISO_IR 192",
        PatientName=name,
        AcquisitionProtocolName="",
        Manufacturer=text,
    )
    assert (read(deidentify(data, KEY, DeidentificationOptions()).data).Manufacturer == "REMOVED") is found


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("pat MRN4471123", False),
        ("pat MRN 447 1123", False),
        ("UID 1.2.826.0.1.3680043.8.498.1", False),
        ("b. 05.05.1960", False),
        ("1960-05-05", False),
        ("call 0171-5551234", False),
        ("Scanner 3.2.1", True),
        ("Revision 2016", True),
    ],
)
def test_numbers_uids_and_dates_in_short_texts_go(slices: list[bytes], text: str, kept: bool) -> None:
    data = _with_a_patient(slices[0], ManufacturerModelName=text)
    copy = read(deidentify(data, KEY, DeidentificationOptions()).data)
    assert copy.ManufacturerModelName == (text if kept else "REMOVED")


def test_coded_strings_are_searched_and_the_standards_terms_stay(slices: list[bytes]) -> None:
    data = _with_a_patient(
        slices[0],
        PatientName="Head^Spiral",
        OperatorsName="MUSTERMANN",
        BodyPartExamined="HEAD",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "MUSTERMANN"],
    )
    copy = read(deidentify(data, KEY, DeidentificationOptions()).data)
    assert copy.BodyPartExamined == "HEAD"
    assert list(copy.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL", "REMOVED"]


@pytest.mark.parametrize("value", ["yes", "Yes ", " YES", "Y"])
def test_burned_in_annotation_is_read_in_any_writing(slices: list[bytes], value: str) -> None:
    data = _with_a_patient(slices[0], BurnedInAnnotation=value)
    with pytest.raises(DeidentificationRefused, match="0028,0301"):
        deidentify(data, KEY, DeidentificationOptions())


@pytest.mark.parametrize(
    "more",
    [
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"ConversionType": "WSD"},
        {"PhotometricInterpretation": "RGB"},
        {"BitsAllocated": 8},
        {"ImageType": ["DERIVED", "SECONDARY"], "ImagePositionPatient": None},
    ],
)
def test_a_screen_that_calls_itself_ct_is_refused(slices: list[bytes], more: dict[str, object]) -> None:
    data = _with_a_patient(slices[0], **more)
    with pytest.raises(DeidentificationRefused, match="page of a screen"):
        deidentify(data, KEY, DeidentificationOptions())


@pytest.mark.parametrize(
    ("name", "harmless"), [("GTVLEE", False), ("GTVkim", False), ("CTVn2", True), ("PTVsb", True)]
)
def test_letters_behind_a_target_are_those_of_the_field(name: str, harmless: bool) -> None:
    assert is_harmless(name, DeidentificationOptions()) is harmless


def test_a_uid_that_was_kept_refuses_the_copy(slices: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProjectKey, "uid", lambda _key, original: original)
    with pytest.raises(DeidentificationRefused, match="still has its UID"):
        deidentify(slices[0], KEY, DeidentificationOptions())


@pytest.mark.parametrize("tag", [0x00401006, 0x00401007, 0x00402006, 0x00402007])
def test_order_numbers_in_retired_attributes_go(slices: list[bytes], tag: int) -> None:
    dataset = read(slices[0])
    dataset.add_new(tag, "LO", "PLACER-990017")
    stream = io.BytesIO()
    dataset.save_as(stream)
    assert tag not in read(deidentify(stream.getvalue(), KEY, DeidentificationOptions()).data)

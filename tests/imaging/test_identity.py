"""One patient in a series, by all of its slices."""

from dataclasses import replace

import pytest

from imaging.ct.headers import SliceHeader
from imaging.ct.identity import check_one_patient
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.test_stack import stack

SMITH = {
    "PatientID": b"4711",
    "PatientName": b"Smith^Anna ",
    "PatientBirthDate": b"19500101",
    "PatientSex": b"F ",
    "AccessionNumber": b"A1",
    "SpecificCharacterSet": b"ISO_IR 100",
}


def slices(**of_the_last: bytes) -> list[SliceHeader]:
    headers = [replace(header, stated=SMITH) for header in stack(0, 3, 6, 9)]
    return [*headers[:3], replace(headers[3], stated=SMITH | of_the_last)]


@pytest.mark.parametrize(
    ("keyword", "value", "tag"),
    [
        ("PatientID", b"4712", "Patient ID (0010,0020)"),
        ("PatientID", b"", "Patient ID (0010,0020)"),
        ("PatientBirthDate", b"19500102", "Patient's Birth Date (0010,0030)"),
        ("PatientSex", b"M ", "Patient's Sex (0010,0040)"),
        ("PatientName", b"Jones^Anna", "Patient's Name (0010,0010)"),
        ("PatientName", b"Smith^Peter", "Patient's Name (0010,0010)"),
    ],
)
def test_another_patient_among_the_slices_is_refused_with_tag_and_two_images_and_no_value(
    keyword: str, value: bytes, tag: str
) -> None:
    with pytest.raises(ImageRefused) as found:
        check_one_patient(slices(**{keyword: value}))
    assert found.value.code is RefusalCode.MIXED_PATIENTS
    message = found.value.message
    assert message.startswith(f"{tag} differs between image 1.2.0 at z=0 mm and image 1.2.3 at z=9 mm")
    assert not any(word in message for word in ("4711", "4712", "Smith", "Jones", "1950"))


def test_every_attribute_that_tells_patients_apart_is_named() -> None:
    with pytest.raises(
        ImageRefused, match=r"\(0010,0020\), Patient's Birth Date \(0010,0030\), Patient's Name"
    ):
        check_one_patient(slices(PatientID=b"1", PatientBirthDate=b"19990909", PatientName=b"Other^Person"))


@pytest.mark.parametrize(
    "name",
    [
        b"SMITH^ANNA",
        b"Smith^Anna^^^",
        b"Smith, Anna",
        b"Smyth^Anna",
        b"Smith^\xc4nna",
        b"Smith^Anna^Maria",
        b"",
    ],
)
def test_a_name_spelt_differently_is_a_note(name: bytes) -> None:
    (note,) = check_one_patient(slices(PatientName=name))
    assert note.startswith("Patient's Name (0010,0010) differs in its spelling between the images")
    assert "mith" not in note


def test_without_a_patient_id_a_letter_makes_another_patient() -> None:
    headers = [replace(h, stated=h.stated | {"PatientID": b""}) for h in slices(PatientName=b"Smyth^Anna")]
    with pytest.raises(ImageRefused, match="0010,0010"):
        check_one_patient(headers)


@pytest.mark.parametrize("character_set", [b"hex", b"idna", b"\\\0\\ISO_IR 100"])
def test_names_in_a_character_set_that_dicom_does_not_know_are_compared_as_they_are_read(
    character_set: bytes,
) -> None:
    def last(name: bytes) -> list[SliceHeader]:
        return [
            replace(h, stated=h.stated | {"SpecificCharacterSet": character_set})
            for h in slices(PatientName=name)
        ]

    (note,) = check_one_patient(last(b"Sm\xefth^Anna\x1b"))
    assert note.startswith("Patient's Name (0010,0010) differs in its spelling")
    with pytest.raises(ImageRefused, match="0010,0010"):
        check_one_patient(last(b"Jones^Zo\xeb\x1b"))


def test_other_names_of_letters_that_their_character_set_lacks_are_another_patient() -> None:
    """Cyrillic letters as ISO 8859-5 has them, said to be UTF-8: none of them can be decoded."""
    ivanov, sidorova = ("Иванов^Пётр".encode("iso8859-5"), "Сидорова^Анна".encode("iso8859-5"))
    headers = [
        replace(h, stated=h.stated | {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": ivanov})
        for h in slices()
    ]
    assert check_one_patient(headers) == ()
    other = replace(headers[3], stated=headers[3].stated | {"PatientName": sidorova})
    with pytest.raises(ImageRefused, match="0010,0010"):
        check_one_patient([*headers[:3], other])


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientBirthDate", b""), ("PatientSex", b""), ("PatientID", b"4711 ")]
)
def test_what_is_not_stated_contradicts_nothing(keyword: str, value: bytes) -> None:
    notes = check_one_patient(slices(**{keyword: value}))
    assert len(notes) == (keyword != "PatientID")


def test_what_else_a_result_copies_is_noted_where_it_differs() -> None:
    assert check_one_patient(slices()) == ()
    assert check_one_patient(slices(AccessionNumber=b"A2")) == (
        "Accession Number (0008,0050) differs between the images, as in 1.2.0 and 1.2.3; the lowest slice's is taken",
    )

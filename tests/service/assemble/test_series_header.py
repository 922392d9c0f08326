"""What the first image of a series says: read once, whatever it holds, and searchable in any alphabet."""

from datetime import UTC, datetime
from io import BytesIO

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from service.assemble.series_header import NAMES, RULES_MAY_ASK, read_series_header
from service.store import JobState, OpenJob, folded


def test_every_keyword_that_rules_may_ask_is_in_the_standard() -> None:
    assert all(tag_for_keyword(keyword) for keyword in (*RULES_MAY_ASK, *NAMES))


def test_a_header_is_read_in_its_own_letters_and_odd_values_are_empty(job: OpenJob) -> None:
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.PatientName = "Müller^Jürgen=山田^太郎"
    image.PatientID = "A\x0717"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SliceThickness = "2.5"

    header = read_series_header(_file(image), job)

    assert header.patient_name == "Müller^Jürgen=山田^太郎"
    assert header.patient_id == "A 17"  # a control character is shown as a space
    assert header.attributes == {"ImageType": "ORIGINAL\\PRIMARY\\AXIAL", "SliceThickness": "2.5"}
    assert (header.series_uid, header.study_uid, header.accession_number) == (
        job.series_uid,
        job.study_uid,
        "",
    )


@pytest.mark.parametrize(
    ("text", "found_by"),
    [
        ("Müller^Jürgen", "muller jurgen"),
        ("Łęcka^Ewa", "łecka ewa"),
        ("山田^太郎", "山田 太郎"),
        ("Ὀδυσσεύς", "οδυσσευσ"),
    ],
)
def test_search_ignores_case_accents_and_separators(text: str, found_by: str) -> None:
    assert folded(text) == found_by


def _file(image: Dataset) -> bytes:
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "1.2.3"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def job() -> OpenJob:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    return OpenJob(
        id=1,
        version=1,
        state=JobState.RECEIVING,
        reason="",
        series_uid="1.2.1",
        study_uid="1.2",
        called_aet="A",
        calling_aet="B",
        slice_count=1,
        expected_images=None,
        received_at=at,
        last_received_at=at,
    )

"""A patient with a marked name goes through reception, assembly and refusal: the mark stands in the files alone."""

import logging
import sqlite3
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from imaging.ct.series import SourceFile, read_ct
from imaging.errors import ImageRefused
from service.assemble import Assembler, SenderCounts
from service.assemble.silence import SilenceWatch
from service.audit import audit_message
from service.config import Settings
from service.logs import JsonFormatter, LineFormatter
from service.store import FileStore, JobState, SeriesRepository, utc_now
from tests.imaging import ct_slices
from tests.service.receive.client import RawPeer
from tests.service.receive.samples import EXPLICIT, SERIES, ct_slice, encoded

pytestmark = pytest.mark.network

MARK = "QXJ"
SETTINGS = {
    "assemble": {"quiet_s": 0, "incomplete_timeout_s": 0},
    "peers": {"tps": {"ae_title": "TPS", "host": "127.0.0.1", "port": 104}},
    "rules": [{"name": "head-neck", "model": "hn_oar", "destinations": ["tps"]}],
}


def marked(dataset: Dataset) -> Dataset:
    """The same object of a patient whose every attribute is recognised."""
    dataset.PatientName, dataset.PatientID = f"{MARK}^NAME", f"{MARK}-ID"
    dataset.OtherPatientIDs, dataset.PatientComments = f"{MARK}-OTHER", f"{MARK} comment"
    dataset.PatientAddress, dataset.AccessionNumber = f"{MARK} street", f"{MARK}-ACC"
    dataset.StudyDescription, dataset.ReferringPhysicianName = f"{MARK} study", f"{MARK}^DOCTOR"
    return dataset


def rows(file: Path) -> str:
    """Everything that stands in the database, as text."""
    with sqlite3.connect(file) as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name != "series_fact"  # by which people search; emptied with the last file
        ]
        found = [str(connection.execute("SELECT * FROM " + name).fetchall()) for name in tables]  # noqa: S608
    connection.close()
    return "\n".join(found)


def lines(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(form("x").format(r) for r in caplog.records for form in (LineFormatter, JsonFormatter))


def sent(port: int) -> list[str]:
    """The comments of the answers to a series of good, spoiled and wrong objects."""
    good = [encoded(marked(ct_slice(number)), EXPLICIT) for number in (1, 2)]
    other = encoded(marked(ct_slice(1, pixels=bytes(512))), EXPLICIT)
    with RawPeer(port) as peer:
        peer.associate()
        answers = [
            peer.store(data, sop_instance_uid=f"{SERIES}.{number}")
            for data, number in (
                (good[0], 1),
                (good[1], 2),
                (other, 1),  # other content under a known UID
                (good[1], 7),  # not the object of the request
                (good[0][:-9], 3),  # cut short
                (good[0].replace(b"LO", b"L!"), 4),  # no value representation
            )
        ]
        peer.release()
    assert [int(answer.Status) for answer in answers[:2]] == [0, 0]
    assert all(int(answer.Status) for answer in answers[2:])
    return [str(answer.ErrorComment) for answer in answers[2:]]


def test_no_patient_stands_in_logs_answers_database_or_audit(start_node, tmp_path, caplog) -> None:
    node = start_node()
    with caplog.at_level(logging.DEBUG):
        comments = sent(node.port)
        known = Settings.model_validate(SETTINGS)
        Assembler(
            repository=SeriesRepository(node.database),
            files=FileStore(node.root),
            settings=known,
            models={},
            counts=SenderCounts(lambda *_: 0, {}, utc_now, every_s=60, patience_s=1),
            silence=SilenceWatch(clock=utc_now),
        ).poll_once()
        events = node.audited()
    (job,) = node.job_rows()
    assert job.state is JobState.REFUSED
    assert "(0028,0030)" in job.reason  # Pixel Spacing is missing, and the reason says so
    assert len(events) == 5  # what was kept, and each reason of a refusal
    messages = [audit_message(e, known, node.audit.patient_of).decode() for e in node.audit.entries()]
    for said in (lines(caplog), rows(tmp_path / "node.sqlite"), *comments, *messages):
        assert MARK not in said
    assert any(MARK.encode() in path.read_bytes() for path in node.files())
    assert not any(MARK in str(path) for path in node.root.rglob("*"))


def test_the_patients_number_is_in_the_trail_where_the_settings_want_it(start_node) -> None:
    node = start_node(audit={"patient_ids": True})
    with RawPeer(node.port) as peer:
        peer.associate()
        for number, patient in ((1, "P-17"), (2, "\u00fc" * 9), (3, "")):
            ds = ct_slice(number)
            ds.PatientID, ds.StudyInstanceUID = patient, f"1.2.3.{number}"
            ds.SpecificCharacterSet = "ISO_IR 192"
            assert peer.store(encoded(ds, EXPLICIT), sop_instance_uid=f"{SERIES}.{number}").Status == 0
    found = {event.study_uid: event.patient_id for event in node.audited()}
    assert found == {"1.2.3.1": "P-17", "1.2.3.2": "\\xc3\\xbc" * 9, "1.2.3.3": ""}


@pytest.mark.parametrize(
    "keyword",
    [
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "FrameOfReferenceUID",
        "Rows",
        "BitsStored",
        "RescaleSlope",
        "PixelData",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "PhotometricInterpretation",
    ],
)
def test_no_refusal_of_an_image_names_the_patient(keyword: str) -> None:
    files = []
    for file in ct_slices.series():
        dataset = marked(dcmread(BytesIO(file.data)))
        delattr(dataset, keyword)
        files.append(SourceFile(name=file.name, data=ct_slices.part10(dataset)))
    with pytest.raises(ImageRefused) as caught:
        read_ct(files)
    assert MARK not in caught.value.message

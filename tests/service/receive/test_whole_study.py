"""A study as it is sent whole: CT, secondary capture, reports and more, by DCMTK's storescu and by Orthanc."""

import subprocess
import time
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID

from service.config import ObjectFamily
from service.receive import object_families
from tests.service.receive.client import RawPeer
from tests.service.receive.samples import EXPLICIT, STUDY, ct_slice, part10
from tests.support.orthanc import PROGRAM, orthanc

STORESCU = Path("/usr/bin/storescu")
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not STORESCU.exists(), reason="DCMTK is not installed: apt-get install dcmtk"),
]
PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"  # Siemens CSA Non-Image Storage
BESIDE = {
    "1.2.840.10008.5.1.4.1.1.7": "OT",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.7.2": "OT",  # Multi-frame Grayscale Byte Secondary Capture
    "1.2.840.10008.5.1.4.1.1.88.11": "SR",  # Basic Text SR
    "1.2.840.10008.5.1.4.1.1.88.67": "SR",  # X-Ray Radiation Dose SR
    "1.2.840.10008.5.1.4.1.1.88.59": "KO",  # Key Object Selection
    "1.2.840.10008.5.1.4.1.1.11.1": "PR",  # Grayscale Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.66.1": "REG",  # Spatial Registration
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.104.1": "DOC",  # Encapsulated PDF
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
    "1.2.840.10008.5.1.4.1.1.481.5": "RTPLAN",
    "1.2.840.10008.5.1.4.1.1.481.2": "RTDOSE",
    "1.2.840.10008.5.1.4.1.1.481.4": "RTRECORD",
}


def other(sop_class_uid: str, modality: str, number: int) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = sop_class_uid, f"1.2.3.50.{number}", modality
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.PatientID = STUDY, f"1.2.3.60.{number}", "P1"
    return ds


def encoded_plain(ds: Dataset) -> bytes:
    """Gives the dataset in Explicit VR Little Endian."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    return buffer.getvalue()


def study(folder: Path, *private: str) -> Path:
    """Writes a study in which every second object is no CT; gives its folder."""
    folder.mkdir()
    datasets: list[Dataset] = []
    for number, (uid, modality) in enumerate((BESIDE | dict.fromkeys(private, "OT")).items(), 1):
        datasets += [ct_slice(number), other(uid, modality, number)]
    for number, ds in enumerate(datasets):
        (folder / f"{number:03}.dcm").write_bytes(part10(ds))
    return folder


def send(node, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [STORESCU, "-R", "-aec", "NODE", "127.0.0.1", str(node.port), "+sd", folder]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def classes(node) -> list[str]:
    return sorted({str(dcmread(path, stop_before_pixels=True).SOPClassUID) for path in node.files()})


def test_storescu_sends_it_whole_and_only_the_ct_makes_a_job(node, tmp_path):
    answer = send(node, study(tmp_path / "study"))
    assert answer.returncode == 0, answer.stderr
    assert len(node.files()) == 2 * len(BESIDE)
    assert classes(node) == sorted([*BESIDE, "1.2.840.10008.5.1.4.1.1.2"])
    (job,) = node.job_rows()
    assert (job.slice_count, job.state) == (len(BESIDE), "receiving")


def test_families_that_are_not_listed_are_not_taken(start_node, tmp_path):
    node = start_node(companions=["reports"])
    send(node, study(tmp_path / "study"))
    assert "1.2.840.10008.5.1.4.1.1.7" not in classes(node)
    assert start_node(companions=[]).port


def test_a_private_class_is_taken_where_it_is_listed(start_node):
    node = start_node(additional_sop_classes=[PRIVATE_CLASS])  # storescu and storescp of DCMTK send none
    ds = other(PRIVATE_CLASS, "OT", 1)
    with RawPeer(node.port) as peer:
        peer.associate((PRIVATE_CLASS, [EXPLICIT]))
        answer = peer.store(
            encoded_plain(ds), sop_instance_uid=ds.SOPInstanceUID, sop_class_uid=PRIVATE_CLASS
        )
    assert answer.Status == 0
    assert classes(node) == [PRIVATE_CLASS]
    assert node.job_rows() == []


@pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed")
def test_orthanc_sends_it_whole(node, tmp_path):
    folder = study(tmp_path / "study")
    with orthanc(tmp_path / "orthanc", {"node": ["NODE", "127.0.0.1", node.port]}) as archive:
        command = [STORESCU, "-R", "-aec", "ORTHANC", "127.0.0.1", str(archive.port), "+sd", folder]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        assert len(archive.instances()) == 2 * len(BESIDE)
        (one,) = archive.get("/studies")
        archive.post("/modalities/node/store", one)
        deadline = time.monotonic() + 60
        while len(node.files()) < 2 * len(BESIDE) and time.monotonic() < deadline:
            time.sleep(0.1)
    assert classes(node) == sorted([*BESIDE, "1.2.840.10008.5.1.4.1.1.2"])


def test_every_class_has_its_name_in_the_standard_and_one_family():
    named = [pair for family in ObjectFamily for pair in object_families.named([family])]
    assert len({uid for _, uid in named}) == len(named)
    assert all(UID(uid).name == name for name, uid in named)
    assert {uid for uid in BESIDE if not uid.startswith("1.2.840.10008.5.1.4.1.1.481.")} <= {
        uid for _, uid in named
    }

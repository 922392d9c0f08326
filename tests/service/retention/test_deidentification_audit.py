"""The audit of copies: attributes that hold an identifier are named, its value is not."""

import io
from pathlib import Path

import pytest
from pydicom import dcmread

from imaging.deidentify import DeidentificationOptions, ProjectKey, deidentify
from phantoms.dicom import ct_files
from service.cli.main import main
from tests.support.small_node import small_volume

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def original(tmp_path: Path) -> Path:
    dataset = dcmread(io.BytesIO(ct_files(small_volume())[0].data))
    dataset.PatientName, dataset.PatientID = "Sonnenblume^Ida", "MRN-4471123"
    path = tmp_path / "original" / "1.dcm"
    path.parent.mkdir()
    dataset.save_as(path)
    return path


@pytest.fixture
def copies(original: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    made = deidentify(original.read_bytes(), ProjectKey(b"a" * 32), DeidentificationOptions())
    (folder / "1.dcm").write_bytes(made.data)
    return folder


def test_a_copy_has_none(original: Path, copies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deidentify", "--audit", str(copies), "--original", str(original.parent)]) == 0
    assert capsys.readouterr().out == "1 files, 0 attributes with an identifier, 0 not readable\n"


def test_each_attribute_that_holds_one_is_named_without_its_value(
    original: Path, copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = dcmread(copies / "1.dcm")
    copy.Manufacturer = "for SONNENBLUME"
    copy.FrameOfReferenceUID = dcmread(original).FrameOfReferenceUID
    copy.add_new(0x00091010, "UN", b"mrn-4471123 and Sonnenblume")
    copy.save_as(copies / "1.dcm")
    assert main(["deidentify", "--audit", str(copies), "--original", str(original)]) == 1
    out = capsys.readouterr().out
    assert "Manufacturer (0008,0070) LO" in out
    assert "Frame of Reference UID (0020,0052) UI" in out
    assert "(0009,1010) UN" in out
    assert "3 attributes" in out
    assert "SONNENBLUME" not in out


def test_a_list_does_and_what_is_no_dicom_is_said(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.txt").write_text("Sonnenblume^Ida\n", encoding="utf-8")
    (original.parent / "notes.txt").write_text("notes", encoding="utf-8")
    call = ["deidentify", "--audit", str(original.parent), "--identifiers", str(tmp_path / "names.txt")]
    assert main(call) == 1
    out = capsys.readouterr().out
    assert "(0010,0010)" in out
    assert "1 not readable" in out


def test_a_uid_of_the_list_is_found(
    original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = str(dcmread(original).SOPInstanceUID)
    (tmp_path / "uids.txt").write_text(f"{uid}\n", encoding="utf-8")
    call = ["deidentify", "--audit", str(original.parent), "--identifiers", str(tmp_path / "uids.txt")]
    assert main(call) == 1
    assert "(0008,0018)" in capsys.readouterr().out


def test_an_audit_without_identifiers_is_refused(copies: Path) -> None:
    assert main(["deidentify", "--audit", str(copies)]) == 1

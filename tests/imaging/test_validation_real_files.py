"""What the gate says of files that other systems wrote: each list was looked at, and is right."""

import io
import re
import tarfile
from pathlib import Path

import pytest

from imaging.ct.series import SourceFile, read_ct
from imaging.export.profiles import PROFILES
from imaging.validation import validate

DICOM = Path(__file__).parents[3] / "shared" / "data" / "dicom"
AWKWARD = DICOM.parent / "awkward" / "pydicom-oddities"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DICOM.is_dir(), reason="the patients beside the project are absent"),
]


def from_archive(name: str, pattern: str, most: int = 1) -> list[bytes]:
    """The first files of an archive whose path fits."""
    found = []
    with tarfile.open(DICOM / f"{name}.tar.xz") as archive:
        for member in archive:
            if member.isfile() and re.search(pattern, member.name):
                handle = archive.extractfile(member)
                assert handle is not None
                found.append(handle.read())
                if len(found) == most:
                    break
    assert found, f"nothing in {name} fits {pattern}"
    return found


def codes(data: bytes, profile: str) -> list[tuple[str, str, str, int]]:
    return [
        (finding.severity.value, finding.code, finding.path.rsplit(".", 1)[-1], finding.count)
        for finding in validate(data, PROFILES[profile])
    ]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("patient", ["KBP001", "KBP002", "KBP003"])
def test_openkbp_is_clean_with_its_ct(patient: str, profile: str) -> None:
    folder = DICOM / "openkbp" / patient
    ct = [SourceFile(name=file.name, data=file.read_bytes()) for file in sorted(folder.glob("CT.*.dcm"))]
    series = read_ct(ct) if profile == "eclipse" else None
    assert validate((folder / "RS.dcm").read_bytes(), PROFILES[profile], series=series) == ()


@pytest.mark.parametrize("profile", PROFILES)
def test_eclipse_16_1_numbers_observations_as_it_likes_and_has_a_type_of_its_own(profile: str) -> None:
    (data,) = from_archive("eclipse-head-phantom", r"/RS\.[^/]*\.dcm$")
    assert codes(data, profile) == [
        ("warning", "number-twice", "ObservationNumber (3006,0082)", 9),
        ("warning", "type-unknown", "RTROIInterpretedType (3006,00A4)", 1),
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_pinnacle_9_7_lists_one_image_without_saying_which(profile: str) -> None:
    (data,) = from_archive("pinnacle-lung-4d", r"-47\.35/1-1\.dcm$")
    assert codes(data, profile) == [
        ("error", "missing", "OperatorsName (0008,1070)", 1),
        ("error", "missing", "ReferencedSOPClassUID (0008,1150)", 1),
        ("error", "missing", "ReferencedSOPInstanceUID (0008,1155)", 1),
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_mim_after_de_identification(profile: str) -> None:
    for data in from_archive("mim-sarcoma-16", r"/mask/RS\.dcm$", most=2):
        assert codes(data, profile) == [
            ("error", "missing", "OperatorsName (0008,1070)", 1),
            ("warning", "too-long-sh", "StudyID (0020,0010)", 1),
        ]


def test_a_bare_dataset_whose_contours_repeat_their_first_point() -> None:
    data = (AWKWARD / "rtstruct.dcm").read_bytes()
    assert io.BytesIO(data).read(132)[128:] != b"DICM"
    assert codes(data, "eclipse") == [
        ("error", "no-meta", "file", 1),
        ("error", "missing", "ContourImageSequence (3006,0016)", 1),
        ("error", "no-image", "ContourImageSequence (3006,0016)", 3),
        ("warning", "volume-stated", "ROIVolume (3006,002C)", 1),  # 3 of 41 planes were left in the file
    ]

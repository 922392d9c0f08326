"""Real exports of four systems.

Nothing of the patient is left, the files are as valid as before, the contours still fit.
"""

import io
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from imaging.ct.series import SourceFile, read_ct
from imaging.deidentify import (
    DeidentificationOptions,
    OriginalIdentity,
    ProjectKey,
    deidentify,
    reidentify,
    study_attributes,
)
from imaging.deidentify.research_copy import SUPPORTED
from imaging.rtstruct.writing import masks_on_grid, read_structure_set
from tests.imaging.deidentify.objects import elements, without_bulk
from tests.imaging.test_shared_data import DATA, unpacked

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the patients beside the project (../shared/data) are absent"
    ),
]
KEY = ProjectKey(b"k" * 32)
# Of what the profile takes away, every attribute that names somebody, somewhere, some day or an object.
TAKEN = (
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "PatientBirthDate",
    "StationName",
    "StudyDescription",
    "SeriesDescription",
    "StudyDate",
)
SHORTEST = 5  # shorter values stand in any file by chance


@pytest.fixture(scope="module")
def kbp() -> dict[str, list[bytes]]:
    folder = DATA / "dicom" / "openkbp" / "KBP001"
    return {
        "CT": [file.read_bytes() for file in sorted(folder.glob("CT.*.dcm"))],
        "RS": [(folder / "RS.dcm").read_bytes()],
    }


@pytest.fixture(
    scope="module",
    params=[
        "openkbp",
        "eclipse-head-phantom.tar.xz",
        "pinnacle-lung-4d.tar.xz",
        "tilted-and-irregular.tar.xz",
    ],
)
def some(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every structure set of an export, and some of its slices."""
    folder = DATA / "dicom" / "openkbp" / "KBP001"
    if request.param != "openkbp":
        folder = unpacked(request.param, tmp_path_factory.mktemp("real"))
    by_kind: dict[str, list[Path]] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        kind = _kind(file)
        by_kind.setdefault(kind, []).append(file)
    chosen = [*by_kind.get("CT", [])[::40][:4], *by_kind.get("RTSTRUCT", []), *by_kind.get("RTDOSE", [])]
    assert chosen
    return chosen


def _kind(file: Path) -> str:
    try:
        header = dcmread(file, stop_before_pixels=True, specific_tags=["Modality", "SOPClassUID"])
    except Exception:  # noqa: BLE001 - archives hold texts, too
        return "none"
    sop_class = header.get("SOPClassUID")
    return str(header.Modality) if sop_class in SUPPORTED else "none"


def test_no_original_value_is_left_in_the_bytes(some: list[Path]) -> None:
    for file in some:
        data = file.read_bytes()
        left = without_bulk(deidentify(data, KEY, DeidentificationOptions(), file.name).data)
        found = [
            text
            for text in _originals(dcmread(io.BytesIO(data)))
            if text.encode("latin-1", "replace") in left
        ]
        assert found == [], file.name


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_dciodvfy_finds_nothing_that_it_did_not_find_before(some: list[Path], tmp_path: Path) -> None:
    for file in some:
        copy = tmp_path / file.name
        copy.write_bytes(deidentify(file.read_bytes(), KEY, DeidentificationOptions(), file.name).data)
        assert _errors(copy) - _errors(file) == Counter(), file.name


def test_the_structure_set_still_fits_its_ct_voxel_for_voxel(kbp: dict[str, list[bytes]]) -> None:
    before = masks_on_grid(read_structure_set(kbp["RS"][0]), _series(kbp["CT"]))
    copies = [deidentify(data, KEY, DeidentificationOptions()).data for data in kbp["CT"]]
    copy = read_structure_set(deidentify(kbp["RS"][0], KEY, DeidentificationOptions()).data)
    after = masks_on_grid(copy, _series(copies))
    assert before.by_number.keys() == after.by_number.keys()
    assert sum(mask.voxels() for mask in before.by_number.values()) > 0
    for number, mask in before.by_number.items():
        assert np.array_equal(
            mask.full(before.grid.shape_zyx), after.by_number[number].full(after.grid.shape_zyx)
        )
    images = {str(dcmread(io.BytesIO(data), stop_before_pixels=True).SOPInstanceUID) for data in copies}
    assert copy.referenced_image_uids <= images


def test_the_way_back_gives_the_original_references_and_the_original_patient(
    kbp: dict[str, list[bytes]],
) -> None:
    original = dcmread(io.BytesIO(kbp["RS"][0]))
    made = deidentify(kbp["RS"][0], KEY, DeidentificationOptions())
    origin = OriginalIdentity(
        uids=made.uids, studies={original.StudyInstanceUID: study_attributes(kbp["CT"][0])}
    )
    back = dcmread(io.BytesIO(reidentify(made.data, origin)))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID"):
        assert back[keyword].value == original[keyword].value
    own = {original.SOPInstanceUID, original.SeriesInstanceUID}
    assert sorted(_uids(back, set())) == sorted(
        [*_uids(original, own), back.SOPInstanceUID, back.SeriesInstanceUID]
    )
    assert not own & {back.SOPInstanceUID, back.SeriesInstanceUID}
    assert back.ROIContourSequence == original.ROIContourSequence


def _series(files: list[bytes]):  # type: ignore[no-untyped-def]
    return read_ct([SourceFile(name=str(number), data=data) for number, data in enumerate(files)])


def _uids(dataset: Dataset, without: set[str]) -> list[str]:
    return [
        str(element.value)
        for element in elements(dataset)
        if element.VR == "UI"
        and not str(element.value).startswith("1.2.840.10008.")
        and element.value not in without
    ]


def _originals(dataset: Dataset) -> Iterator[str]:
    for element in elements(dataset):
        values = element.value if element.VM > 1 else [element.value]
        if element.VR == "UI":
            yield from (str(one) for one in values if one and not one.startswith("1.2.840.10008."))
        elif element.VR == "PN":
            yield from (part for one in values for part in str(one).split("^") if len(part) >= SHORTEST)
        elif element.keyword in TAKEN:
            yield from (str(one) for one in values if len(str(one)) >= SHORTEST)
    if len(str(dataset.get("PatientID", ""))) >= SHORTEST:
        yield str(dataset.PatientID)


def _errors(file: Path) -> "Counter[str]":
    """What dciodvfy finds, without the values."""
    found = subprocess.run(
        ["dciodvfy", str(file)], capture_output=True, text=True, errors="replace", check=False
    )
    lines = (line for line in found.stderr.splitlines() if line.startswith("Error"))
    return Counter({line.split(" - <")[0].split("= <")[0] for line in lines})


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize(
    "sort", ["seg/seg_image_ct_binary*.dcm", "enhanced/*.dcm", "pydicom-oddities/rtdose*.dcm"]
)
@pytest.mark.parametrize("full", [True, False])
def test_segmentations_enhanced_images_and_doses_stay_as_valid_as_they_were(
    sort: str, full: bool, tmp_path: Path
) -> None:
    files = sorted((DATA / "awkward").glob(sort))
    assert files
    plain = DeidentificationOptions(
        modified_dates=False, patient_characteristics=False, clean_descriptors=False
    )
    for file in files:
        copy = tmp_path / file.name
        copy.write_bytes(
            deidentify(file.read_bytes(), KEY, DeidentificationOptions() if full else plain).data
        )
        assert _errors(copy) - _errors(file) == Counter(), file.name
        for segment in dcmread(copy).get("SegmentSequence", None) or []:
            assert ("TrackingID" in segment) == ("TrackingUID" in segment)

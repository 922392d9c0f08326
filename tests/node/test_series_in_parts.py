"""Series as scanners and archives send them, over the network by DCMTK's storescu, through a whole node."""

import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from imaging.ct.series import SourceFile
from service.store import JobState
from tests.support.node import Node, Tps, until

pytestmark = [pytest.mark.network, pytest.mark.triton]
Series = Callable[[str], tuple[SourceFile, ...]]


def storescu(node: Node, folder: Path, *, called: str = "CONTOURNODE", calling: str = "STORESCU") -> None:
    call = ["storescu", "-aet", calling, "-aec", called, "127.0.0.1", str(node.port), "+sd", str(folder)]
    subprocess.run(call, check=True, timeout=120, capture_output=True)


def written(
    folder: Path, files: tuple[SourceFile, ...], change: Callable[[int, Dataset], None] | None = None
) -> str:
    """The files in a folder; the UID of their series."""
    folder.mkdir()
    uid = ""
    for number, file in enumerate(files):
        image = dcmread(BytesIO(file.data))
        if change is not None:
            change(number, image)
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.save_as(folder / f"{number:04d}.dcm")
        uid = str(image.SeriesInstanceUID)
    return uid


def test_a_series_of_scouts_ends_quietly(node: Node, tps: Tps, series: Series, tmp_path: Path) -> None:
    def scout(number: int, image: Dataset) -> None:
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        image.ImageOrientationPatient = [[1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1]][number]

    uid = written(tmp_path / "scouts", series("PARTS-SCOUTS")[:2], scout)
    storescu(node, tmp_path / "scouts")
    job = node.ended(uid)
    assert (job.state, job.reason) == (JobState.NOTHING_TO_CONTOUR, "nothing to contour: 2 localizers")
    assert tps.received == []


def test_two_halves_from_two_senders_are_held_until_one_sends_the_whole(
    node: Node, tps: Tps, series: Series, tmp_path: Path
) -> None:
    files = series("PARTS-HALVES")
    uid = written(tmp_path / "low", files[:40])
    written(tmp_path / "high", files[40:])
    storescu(node, tmp_path / "low", calling="CT1")
    storescu(node, tmp_path / "high", calling="CT2")
    until(
        lambda: {job.state for job in node.jobs(uid)} == {JobState.WAITING},
        seconds=60,
        why="both halves wait",
    )
    high, low = node.jobs(uid)
    assert "40 other images of this series came from CT2 to CONTOURNODE" in low.reason
    assert "40 other images of this series came from CT1 to CONTOURNODE" in high.reason
    assert tps.received == []

    storescu(node, tmp_path / "low", calling="CT2")

    until(lambda: len(tps.received) == 1, seconds=180, why="the whole series is contoured")
    until(
        lambda: [job.state for job in node.jobs(uid)] == [JobState.DONE, JobState.SUPERSEDED],
        seconds=60,
        why="the half gives way",
    )
    assert node.jobs(uid)[0].slice_count == len(files)


def test_a_series_that_an_archive_moved_to_another_study_is_contoured_there_too(
    node: Node, tps: Tps, series: Series, tmp_path: Path
) -> None:
    def moved(_number: int, image: Dataset) -> None:
        image.StudyInstanceUID += ".1"
        image.PatientID = "PARTS-CORRECTED"

    files = series("PARTS-STUDY")
    uid = written(tmp_path / "first", files)
    written(tmp_path / "second", files, moved)
    storescu(node, tmp_path / "first")
    assert node.ended(uid).state is JobState.DONE
    storescu(node, tmp_path / "second")
    until(
        lambda: [job.state for job in node.jobs(uid)] == [JobState.DONE, JobState.DONE],
        seconds=180,
        why="both studies have their set",
    )
    one, other = (dcmread(BytesIO(data)) for data in tps.received)
    assert (one.PatientID, other.PatientID) == ("PARTS-STUDY", "PARTS-CORRECTED")
    assert other.StudyInstanceUID == one.StudyInstanceUID + ".1"
    assert "PredecessorStructureSetSequence" not in other


def test_the_set_of_a_slow_senders_whole_series_replaces_the_first(
    node: Node, tps: Tps, series: Series, tmp_path: Path
) -> None:
    files = series("PARTS-SLOW")
    uid = written(tmp_path / "part", files[:60])
    written(tmp_path / "rest", files[60:])
    storescu(node, tmp_path / "part")
    assert node.ended(uid).state is JobState.DONE
    storescu(node, tmp_path / "rest")
    until(lambda: len(tps.received) == 2, seconds=180, why="the whole series is contoured")
    part, whole = (dcmread(BytesIO(data)) for data in tps.received)
    assert whole.StructureSetLabel == "CN hn_oar v2"
    assert whole.PredecessorStructureSetSequence[0].ReferencedSOPInstanceUID == part.SOPInstanceUID
    assert "From 60 images" in part.StructureSetDescription
    assert f"From {len(files)} images" in whole.StructureSetDescription

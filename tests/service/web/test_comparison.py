"""A second structure set beside the job's own: evaluation's figures, the right slice, and what is refused."""

import json
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from evaluation.reading import read_contours
from evaluation.set_comparison import SetComparison, compare_sets
from imaging.volumes.volume import Volume
from inference.client import Prediction
from inference.contract import ModelContract
from phantoms.dicom import CtExport, PatientPosition
from service.application import ActorRole
from service.assemble import ReturnedSets
from service.store import AuditLog, ReceivedInstance, ReturnedSetRepository
from service.web.comparison import routes, running
from service.web.comparison.task import ComparisonTask
from service.web.comparison.worker import SetRefused, compared
from service.web.security import MOST_DROPPED_BYTES
from tests.service.web.conftest import Page
from tests.service.work.test_worker import Server, worker
from tests.support.destinations import RTSTRUCT, structure_set

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
WIDE = 4  # the slice on which the brainstem is largest, and a shift to the left differs most


def one_wide_slice(contract: ModelContract, volume: Volume) -> Prediction:
    planes = np.zeros((contract.planes, *volume.grid.shape_zyx), np.uint8)
    for code, parts in (
        ("Brainstem", [(slice(3, 6), slice(4, 7), slice(5, 12)), (WIDE, slice(4, 12), slice(5, 12))]),
        ("Larynx", [(slice(2, 4), slice(4, 10), slice(5, 12))]),
    ):
        for part in parts:
            planes[(0, *part)] |= 1 << contract.labels.index(code)
    return Prediction(planes=planes, mean_probability=np.full(len(contract.labels), 0.875, np.float32))


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare here: a process of its own takes seconds to start, and is tried by the tests without this."""

    def run(task: ComparisonTask, a: bytes, b: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(json.dumps(compared(task, a, b)))
        except SetRefused as reason:
            raise running.SetsDiffer(str(reason)) from reason
        return found

    monkeypatch.setattr(routes, "run_comparison", run)


@pytest.fixture
def drawn(page: Page, bring: Callable[..., int]) -> int:
    number = bring()
    assert worker(page.node, Server(one_wide_slice)).work_one()
    return number


def edited(data: bytes, change: Callable[[Dataset], None]) -> bytes:
    found = dcmread(BytesIO(data))
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["B"])
    change(found)
    buffer = BytesIO()
    found.save_as(buffer)
    return buffer.getvalue()


def moved(found: Dataset, name: str = "Brainstem", mm: float = 5.0) -> None:
    """Move one structure to the patient's left."""
    (number,) = [roi.ROINumber for roi in found.StructureSetROISequence if roi.ROIName == name]
    for item in found.ROIContourSequence:
        for contour in item.ContourSequence if item.ReferencedROINumber == number else ():
            points = np.array(contour.ContourData, float).reshape(-1, 3) + np.array([mm, 0, 0])
            contour.ContourData = [f"{value:.3f}" for value in points.ravel()]


def by_evaluation(page: Page, number: int, b: bytes, folder: Path) -> SetComparison:
    series = page.parts.images.series(number).series
    sets = []
    for name, data in (("a", page.parts.images.result(number)), ("b", b)):
        (folder / name).write_bytes(data)
        sets.append(read_contours(folder / name, series))
    return compare_sets(sets[0], sets[1], (2.0,))


def receive(page: Page, number: int, data: bytes) -> None:
    """Take a set as the receiver does, and look whose it is as the assembler does."""
    found, job = dcmread(BytesIO(data)), page.parts.images._jobs.job(number)
    received = ReceivedInstance(
        sop_instance_uid=found.SOPInstanceUID,
        sop_class_uid=RTSTRUCT,
        series_uid=found.SeriesInstanceUID,
        study_uid=job.study_uid,
        modality="RTSTRUCT",
        transfer_syntax_uid=found.file_meta.TransferSyntaxUID,
        calling_aet="TPS",
        called_aet="CONTOURNODE",
        peer_host="127.0.0.1",
        file=page.node.files.put(found.SOPInstanceUID, data),
    )
    page.node.clock.tick(60)
    page.node.recorder.record(received)


@pytest.mark.parametrize("position", [PatientPosition.HFS, PatientPosition.FFP])
def test_a_moved_structure_has_evaluations_figures_and_differs_most_on_its_widest_slice(
    page: Page, bring: Callable[..., int], tmp_path: Path, position: PatientPosition, in_this_process: None
) -> None:
    number = bring(how=CtExport(position=position))
    assert worker(page.node, Server(one_wide_slice)).work_one()
    viewer = page.person("vera", ActorRole.VIEWER)
    b = edited(page.parts.images.result(number), moved)
    answer = viewer.post(f"/api/v1/jobs/{number}/comparison/file", files={"file": ("b.dcm", b)})
    assert answer.status_code == 200, answer.text
    found = {one["name"]: one for one in answer.json()["structures"]}
    expected = by_evaluation(page, number, b, tmp_path)
    assert found.keys() == expected.by_structure.keys() == {"Brainstem", "Larynx"}
    for name, comparison in expected.by_structure.items():
        assert found[name]["metrics"] == dict(comparison.values)
        assert found[name]["state"] == "compared"
    brainstem, larynx = found["Brainstem"]["metrics"], found["Larynx"]["metrics"]
    assert (larynx["dice"], larynx["hausdorff95_pooled_mm"], found["Larynx"]["slices"]) == (1.0, 0.0, [])
    assert 0 < brainstem["dice"] < 1
    assert 3 < brainstem["hausdorff_mm"] <= 6  # 5 mm, to the nearest voxel
    slices = found["Brainstem"]["slices"]
    assert max(slices, key=lambda one: one[1] + one[2])[0] == (
        WIDE if position is PatientPosition.HFS else _other_way(page, number)
    )
    grid = page.parts.images.series(number).series.volume.grid
    area = sum(one[1] + one[2] for one in slices) * grid.spacing_zyx_mm[0]
    both = brainstem["volume_cm3"] + brainstem["reference_volume_cm3"]
    assert area / 1000 == pytest.approx(both * (1 - brainstem["dice"]), rel=1e-3)

    second = answer.json()["second"]["structures"]
    own = viewer.get(f"/api/v1/jobs/{number}/contours").json()["structures"]
    for theirs, ours in zip(second, own, strict=True):
        shift = np.array(theirs["contours"][0]["points"]) - np.array(ours["contours"][0]["points"])
        mm = np.abs(shift.reshape(-1, 2)) * grid.spacing_zyx_mm[2:0:-1]
        assert mm.max() == pytest.approx(5.0 if ours["name"] == "Brainstem" else 0.0, abs=2e-3)


def _other_way(page: Page, number: int) -> int:
    """The same slice where the images are stored from the feet, or from the head."""
    grid = page.parts.images.series(number).series.volume.grid
    return WIDE if grid.axes_lps[0][2] > 0 else grid.shape_zyx[0] - 1 - WIDE


def renamed(found: Dataset) -> None:
    for roi in found.StructureSetROISequence:
        roi.ROIName = {"Brainstem": "brain stem", "Larynx": "PTV_60"}[roi.ROIName]


def test_structures_are_paired_by_name_and_those_without_a_partner_are_told(
    page: Page, drawn: int, in_this_process: None
) -> None:
    viewer = page.person("vera", ActorRole.VIEWER)
    b = edited(page.parts.images.result(drawn), renamed)
    found = viewer.post(
        f"/api/v1/jobs/{drawn}/comparison/file?tolerance_mm=3", files={"file": ("b", b)}
    ).json()
    told = {one["name"]: (one["state"], one["b_name"]) for one in found["structures"]}
    assert told == {
        "Brainstem": ("compared", "brain stem"),
        "Larynx": ("only in a", ""),
        "PTV_60": ("only in b", "PTV_60"),
    }
    (alone,) = [one for one in found["structures"] if one["name"] == "PTV_60"]
    assert alone["metrics"]["reference_volume_cm3"] > 0
    assert (alone["a"], alone["slices"]) == (None, [])
    (both,) = [one for one in found["structures"] if one["name"] == "Brainstem"]
    assert both["metrics"]["surface_dice_area_weighted_at_3mm"] == 1.0


def test_an_empty_structure_and_one_that_cannot_be_placed_have_words_and_no_figures(
    page: Page, drawn: int, in_this_process: None
) -> None:
    def change(found: Dataset) -> None:
        moved(found, "Larynx", 5000.0)
        del found.ROIContourSequence[0].ContourSequence

    viewer = page.person("vera", ActorRole.VIEWER)
    b = edited(page.parts.images.result(drawn), change)
    answer = viewer.post(f"/api/v1/jobs/{drawn}/comparison/file", files={"file": ("b", b)})
    assert (answer.status_code, "none of its contours lies on the slices" in answer.text) == (422, True)

    b = edited(page.parts.images.result(drawn), lambda found: moved(found, "Larynx", 5000.0))
    found = viewer.post(f"/api/v1/jobs/{drawn}/comparison/file", files={"file": ("b", b)}).json()[
        "structures"
    ]
    (larynx,) = [one for one in found if one["name"] == "Larynx"]
    assert (larynx["state"], larynx["metrics"]) == ("not comparable", {})
    assert "hold no voxel of the image" in larynx["reason"]

    def emptied(found: Dataset) -> None:
        del found.ROIContourSequence[0].ContourSequence

    b = edited(page.parts.images.result(drawn), emptied)
    found = viewer.post(f"/api/v1/jobs/{drawn}/comparison/file", files={"file": ("b", b)}).json()[
        "structures"
    ]
    (empty,) = [one for one in found if one["state"] == "spurious"]
    assert (empty["metrics"]["dice"], empty["metrics"]["reference_volume_cm3"]) == (None, 0.0)
    assert all(only_a > 0 and only_b == 0 for _, only_a, only_b in empty["slices"])
    assert empty["slices"]


def other_patient(found: Dataset) -> None:
    found.PatientID = "SOMEBODY-ELSE"


def other_birth(found: Dataset) -> None:
    found.PatientID, found.PatientBirthDate = "", "19010203"


def other_series(found: Dataset) -> None:
    for frame in found.ReferencedFrameOfReferenceSequence:
        frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"


def other_images(found: Dataset) -> None:
    for frame in found.ReferencedFrameOfReferenceSequence:
        (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
        for number, image in enumerate(series.ContourImageSequence):
            image.ReferencedSOPInstanceUID = f"1.2.3.{number + 1}"


def other_frame(found: Dataset) -> None:
    for frame in found.ReferencedFrameOfReferenceSequence:
        frame.FrameOfReferenceUID = "1.2.9"
    for roi in found.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = "1.2.9"


def no_images(found: Dataset) -> None:
    found.ReferencedFrameOfReferenceSequence = []
    for roi in found.StructureSetROISequence:
        roi.ReferencedFrameOfReferenceUID = ""


def no_set(found: Dataset) -> None:
    found.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_patient, "of another patient: PatientID"),
        (other_birth, "of another patient: PatientBirthDate"),
        (other_series, "another series"),
        (other_images, "none of this job's images"),
        (other_frame, "another frame of reference"),
        (no_images, "names neither a series nor a frame of reference"),
        (no_set, "no RT Structure Set"),
    ],
)
def test_a_set_of_another_patient_or_of_other_images_is_refused_and_never_drawn(
    page: Page, drawn: int, change: Callable[[Dataset], None], words: str, in_this_process: None
) -> None:
    def name(image: Dataset) -> None:
        image.PatientBirthDate = "19500101"

    viewer = page.person("vera", ActorRole.VIEWER)
    own = page.parts.images.result(drawn)
    if change is other_birth:  # the phantom states no birth date
        page.parts.images.series(drawn).series.header.PatientBirthDate = "19500101"
    answer = viewer.post(
        f"/api/v1/jobs/{drawn}/comparison/file", files={"file": ("b.dcm", edited(own, change))}
    )
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text
    assert "structures" not in answer.text
    assert "SOMEBODY-ELSE" not in answer.text
    last = AuditLog(page.parts.database).entries()[-1].event
    assert (last.target, last.job_id, last.outcome.name) == ("view images", drawn, "MINOR_FAILURE")
    assert words in last.detail


@pytest.mark.parametrize("data", [b"", b"no DICOM at all" * 100])
def test_what_is_no_structure_set_is_refused(page: Page, drawn: int, data: bytes) -> None:
    viewer = page.person("vera", ActorRole.VIEWER)
    answer = viewer.post(f"/api/v1/jobs/{drawn}/comparison/file", files={"file": ("b.dcm", data)})
    assert (answer.status_code, "no RT Structure Set" in answer.json()["detail"]) == (422, True), answer.text


def test_a_file_over_the_limit_is_refused_before_it_is_read(page: Page, drawn: int) -> None:
    viewer = page.person("vera", ActorRole.VIEWER)
    headers = {
        "Content-Length": str(MOST_DROPPED_BYTES + 1),
        "Content-Type": "multipart/form-data; boundary=x",
    }
    answer = viewer.post(f"/api/v1/jobs/{drawn}/comparison/file", content=b"", headers=headers)
    assert answer.status_code == 413
    assert viewer.post(f"/api/v1/jobs/{drawn}/comparison/file").status_code == 422


def test_a_set_that_came_back_is_compared_and_the_look_is_in_the_trail(page: Page, drawn: int) -> None:
    viewer = page.person("vera", ActorRole.VIEWER)
    job, address = page.node.job(), f"/api/v1/jobs/{drawn}/comparison"
    assert viewer.get(f"{address}/sets").json() == []
    own = page.parts.images.result(drawn)
    receive(page, drawn, edited(own, moved))
    receive(page, drawn, structure_set("1.2.3.77"))  # of the study, drawn on other images
    (received,) = viewer.get(f"{address}/sets").json()
    assert (received["origin"], received["sender"], received["job"]) == ("received", "127.0.0.1", None)
    returned = ReturnedSets(repository=ReturnedSetRepository(page.parts.database), content=page.parts.content)
    page.node.clock.tick(600)
    returned.poll_once()
    (one,) = viewer.get(f"{address}/sets").json()
    assert (one["origin"], one["job"]) == ("returned", job.id)

    answer = viewer.get(address, params={"second": one["key"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["second"]["sop_instance_uid"] == one["sop_instance_uid"]
    last = AuditLog(page.parts.database).entries()[-1].event
    assert (last.actor, last.target, last.job_id) == ("vera", "view images", drawn)
    assert last.detail == f"compared with {one['key'].replace('-', ' ')}"
    assert viewer.get(address, params={"second": "artifact-999"}).status_code == 404
    assert viewer.get(address, params={"second": "job-1"}).status_code == 422
    assert viewer.get("/api/v1/jobs/999/comparison/sets").status_code == 404


def test_the_set_of_another_job_of_the_series_is_found(page: Page, drawn: int, in_this_process: None) -> None:
    claim = page.node.outbox.claim_delivery("s", lease_s=60)
    assert claim is not None
    assert page.node.outbox.sent(claim)
    page.node.changes.rerun(drawn)
    page.node.clock.tick(20)
    page.node.assembler().poll_once()
    assert worker(page.node, Server(one_wide_slice)).work_one()
    newest = page.node.job().id
    viewer = page.person("vera", ActorRole.VIEWER)
    found = viewer.get(f"/api/v1/jobs/{newest}/comparison/sets").json()
    assert [(one["origin"], one["job"]) for one in found] == [("result", drawn)]
    answer = viewer.get(f"/api/v1/jobs/{newest}/comparison", params={"second": found[0]["key"]}).json()
    assert {one["metrics"]["dice"] for one in answer["structures"]} == {1.0}


def test_only_a_few_comparisons_run_at_a_time(
    page: Page, drawn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PATIENCE_S", 0.0)
    viewer = page.person("vera", ActorRole.VIEWER)
    b = edited(page.parts.images.result(drawn), moved)
    for _ in range(running.MOST_AT_ONCE):
        running._places.acquire()
    try:
        answer = viewer.post(f"/api/v1/jobs/{drawn}/comparison/file", files={"file": ("b", b)})
    finally:
        for _ in range(running.MOST_AT_ONCE):
            running._places.release()
    assert (answer.status_code, re.search("other comparisons", answer.text) is not None) == (503, True)

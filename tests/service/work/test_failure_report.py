import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from imaging.export.profiles import PROFILES
from imaging.validation import Severity, validate
from service.config import ProfileName, Settings
from service.store import DeliveryKind, EventKind, FailureReportQueue, JobState
from service.store.objects import keep_artifact
from service.work import FailureReports
from tests.support.arrivals import structure_set
from tests.support.small_node import RULE, SmallNode, model, only, settings

BEFORE_AND_AFTER_A_GAP = slice(0, 3), slice(5, None)


def reporting(kind: str, **changes: object) -> Settings:
    return settings(rules=[{**RULE, "on_failure": kind, **changes}])


def reports(node: SmallNode, tree: Settings) -> FailureReports:
    return FailureReports(
        queue=FailureReportQueue(node.database),
        content=node.content,
        settings=tree,
        rules=only(tree),
        models={"hn_oar": model()},
    )


def refused_for_a_gap(node: SmallNode, tree: Settings) -> int:
    """A job whose series stays incomplete for too long."""
    for some in BEFORE_AND_AFTER_A_GAP:
        node.receive(only=some)
    node.clock.tick(20)
    node.assembler(tree).poll_once()
    assert node.job().state is JobState.WAITING
    assert not reports(node, tree).report_one()
    node.clock.tick(200)
    node.assembler(tree).poll_once()
    assert (node.job().state, node.job().rule) == (JobState.REFUSED, "head-neck")
    return node.job().id


def sent(node: SmallNode) -> dict[str, bytes]:
    """Take everything that is due, as the destinations would."""
    found = {}
    while (claim := node.outbox.claim_delivery("s1", lease_s=60)) is not None:
        found[claim.destination] = node.objects.get(claim.result.path)
        assert node.outbox.sent(claim)
    return found


def test_the_destinations_get_one_empty_structure_set_that_says_why(small_node: SmallNode) -> None:
    tree = reporting("structure_set")
    job = refused_for_a_gap(small_node, tree)
    assert reports(small_node, tree).report_one()
    assert not reports(small_node, tree).report_one()
    data = sent(small_node)["tps"]
    found = dcmread(BytesIO(data))
    assert found.StructureSetLabel == "CN FAILED"
    assert found.ApprovalStatus == "UNAPPROVED"
    assert found.StructureSetDescription.startswith("UNAPPROVED. Not contoured, no contours in here: job")
    assert "missing" in found.StructureSetDescription
    assert [roi.ROIName for roi in found.StructureSetROISequence] == ["NO CONTOURS"]
    assert "ContourSequence" not in found.ROIContourSequence[0]
    assert found.PatientName == dcmread(BytesIO(small_node.files.read(_image(small_node)))).PatientName
    status = small_node.book.job(job)
    assert (status.state, status.destinations) == (JobState.REFUSED, "tps (failure report): 1 sent")
    kinds = [event.kind for event in small_node.book.events(job)]
    assert kinds[-3:] == [EventKind.REFUSED, EventKind.FAILURE_REPORT, EventKind.SENT]


@pytest.mark.parametrize("profile", list(ProfileName))
def test_the_empty_set_has_no_error_for_any_profile(small_node: SmallNode, profile: ProfileName) -> None:
    tree = reporting("structure_set").model_copy()
    destinations = {"tps": tree.peers["tps"].model_copy(update={"profile": profile})}
    tree = tree.model_copy(update={"peers": destinations})
    refused_for_a_gap(small_node, tree)
    assert reports(small_node, tree).report_one()
    findings = validate(sent(small_node)["tps"], PROFILES[profile])
    assert [one for one in findings if one.severity is Severity.ERROR] == []


def test_a_page_says_it_in_words(small_node: SmallNode) -> None:
    tree = reporting("capture")
    refused_for_a_gap(small_node, tree)
    assert reports(small_node, tree).report_one()
    page = dcmread(BytesIO(sent(small_node)["tps"]))
    assert page.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert "Not contoured" in page.ImageComments
    assert page.pixel_array.any()
    assert str(page.PatientName) not in page.ImageComments


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("kind", ["structure_set", "capture"])
def test_dciodvfy_finds_no_error(small_node: SmallNode, tmp_path: Path, kind: str) -> None:
    tree = reporting(kind)
    refused_for_a_gap(small_node, tree)
    assert reports(small_node, tree).report_one()
    path = tmp_path / "report.dcm"
    path.write_bytes(sent(small_node)["tps"])
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert "Error" not in found.stderr, found.stderr


def test_images_without_a_frame_of_reference_get_a_page_and_the_history_says_so(
    small_node: SmallNode,
) -> None:
    tree = reporting("structure_set")

    def no_frame(image: Dataset) -> None:
        del image.FrameOfReferenceUID

    small_node.receive(change=no_frame)
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    assert small_node.job().state is JobState.REFUSED
    assert reports(small_node, tree).report_one()
    assert dcmread(BytesIO(sent(small_node)["tps"])).Modality == "OT"
    notes = [
        e.message for e in small_node.book.events(small_node.job().id) if e.kind is EventKind.FAILURE_REPORT
    ]
    assert "a page, because no structure set can be made: the images have no Frame of Reference" in notes[0]


def test_without_on_failure_nothing_is_reported_and_a_later_setting_reports_no_old_failure(
    small_node: SmallNode,
) -> None:
    refused_for_a_gap(small_node, settings())
    assert reports(small_node, settings()).report_one()
    assert not reports(small_node, reporting("capture")).report_one()
    assert sent(small_node) == {}


def test_a_job_that_no_rule_matched_has_nobody_to_tell(small_node: SmallNode) -> None:
    tree = reporting("capture", calling_aets=["ELSEWHERE"])
    small_node.receive()
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    assert small_node.job().state is JobState.NOTHING_TO_CONTOUR
    assert not reports(small_node, tree).report_one()
    assert sent(small_node) == {}


def test_a_job_that_will_be_retried_is_not_reported_and_one_whose_workers_vanish_is(
    small_node: SmallNode,
) -> None:
    tree = reporting("capture")
    small_node.receive()
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    for _ in range(3):
        assert small_node.queue.claim("w1", lease_s=60, max_attempts=3) is not None
        assert not reports(small_node, tree).report_one()
        small_node.clock.tick(61)
    assert small_node.queue.claim("w1", lease_s=60, max_attempts=3) is None
    assert small_node.job().state is JobState.FAILED
    assert reports(small_node, tree).report_one()
    assert "gave no sign of life" in dcmread(BytesIO(sent(small_node)["tps"])).ImageComments


def test_a_later_success_supersedes_the_report_and_the_history_has_both(small_node: SmallNode) -> None:
    tree = reporting("capture")
    job = refused_for_a_gap(small_node, tree)
    assert reports(small_node, tree).report_one()
    small_node.receive()  # the missing slices come
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    assert (small_node.job().state, small_node.job().version) == (JobState.QUEUED, 2)
    assert sent(small_node) == {}
    (withdrawn,) = small_node.book.deliveries(job)
    assert (withdrawn.kind, withdrawn.state) == (DeliveryKind.FAILURE_REPORT, "withdrawn")


def test_a_failed_delivery_is_reported_to_the_destination_that_lacks_it_without_the_others_messages(
    small_node: SmallNode,
) -> None:
    peers = {name: {"ae_title": name.upper(), "host": "127.0.0.1", "port": 104} for name in ("tps", "pacs")}
    rule = {**RULE, "on_failure": "capture", "destinations": ["tps", "pacs"]}
    tree = settings(peers=peers, rules=[rule])
    job = _delivered_in_part(small_node, tree)
    assert small_node.book.job(job).state is JobState.FAILED
    assert reports(small_node, tree).report_one()
    pages = sent(small_node)
    assert list(pages) == ["tps"]
    comments = dcmread(BytesIO(pages["tps"])).ImageComments
    assert "did not reach tps" in comments
    assert "DOE" not in comments
    assert small_node.book.job(job).state is JobState.FAILED


def _delivered_in_part(node: SmallNode, tree: Settings) -> int:
    """A job whose result one destination has and another refuses."""
    node.receive()
    node.clock.tick(20)
    node.assembler(tree).poll_once()
    claim = node.queue.claim("w1", lease_s=60, max_attempts=3)
    assert claim is not None
    stored = keep_artifact(node.objects, b"structure set")
    assert node.queue.finish(claim, made=[structure_set(stored, "pacs", "tps")])
    for _ in range(2):
        delivery = node.outbox.claim_delivery("s1", lease_s=60)
        assert delivery is not None
        if delivery.destination == "tps":
            assert node.outbox.rejected(delivery, reason="0xC000: no patient DOE^JANE here")
        else:
            assert node.outbox.sent(delivery)
    return claim.id


def _image(node: SmallNode) -> str:
    return node.series.instances_of(node.job().id)[0].file.path


def test_a_failure_of_two_patients_images_is_filed_under_neither(small_node: SmallNode) -> None:
    def somebody_else(image: Dataset) -> None:
        image.PatientID, image.PatientName = "OTHER", "OTHER^PERSON"

    tree = reporting("capture")
    small_node.receive(only=slice(0, 3))
    small_node.receive(only=slice(5, None), change=somebody_else)
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    small_node.clock.tick(200)
    small_node.assembler(tree).poll_once()
    assert small_node.job().state is JobState.REFUSED
    assert reports(small_node, tree).report_one()
    assert sent(small_node) == {}
    notes = [
        e.message for e in small_node.book.events(small_node.job().id) if e.kind is EventKind.FAILURE_REPORT
    ]
    assert "no failure report could be made: Patient ID (0010,0020) differs between images 2.25." in notes[0]
    assert "OTHER" not in notes[0]


def test_a_failure_page_says_of_the_study_what_all_images_say(small_node: SmallNode) -> None:
    def spelt_otherwise(image: Dataset) -> None:
        image.PatientName, image.StudyDescription = "PHANTOM^A", "another"

    tree = reporting("capture")
    small_node.receive(only=slice(0, 3))
    small_node.receive(only=slice(5, None), change=spelt_otherwise)
    small_node.clock.tick(20)
    small_node.assembler(tree).poll_once()
    small_node.clock.tick(200)
    small_node.assembler(tree).poll_once()
    assert reports(small_node, tree).report_one()
    page = dcmread(BytesIO(sent(small_node)["tps"]))
    image = dcmread(
        BytesIO(small_node.files.read(small_node.book.instances_of(small_node.job().id)[0].file.path))
    )
    assert page.PatientID == image.PatientID != ""
    assert page.PatientName == ""
    assert not page.get("StudyDescription")

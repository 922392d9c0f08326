from collections.abc import Callable
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread

from phantoms.dicom import CtExport, ct_files
from service.assemble import Assembler
from service.config import Settings
from service.store import JobState, JobStatus
from tests.support.small_node import RULE, SmallNode, model, settings, small_volume


def assembler(node: SmallNode, tree: Settings | None = None) -> Assembler:
    return node.assembler(tree)


def test_a_series_is_queued_once_it_is_quiet_and_not_before(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.clock.tick(9.9)
    assembler(small_node).poll_once()
    assert small_node.job().state is JobState.RECEIVING

    small_node.clock.tick(0.1)
    assembler(small_node).poll_once()

    job = small_node.job()
    assert (job.state, job.rule, job.model, job.model_version) == (
        JobState.QUEUED,
        "head-neck",
        "hn_oar",
        model().version,
    )


def test_a_rule_can_wait_shorter_or_longer_than_the_others(small_node: SmallNode) -> None:
    small_node.receive()
    slow = settings(rules=[{**RULE, "quiet_s": 60}])
    small_node.clock.tick(59)
    assembler(small_node, slow).poll_once()
    assert small_node.job().state is JobState.RECEIVING

    small_node.clock.tick(1)
    assembler(small_node, slow).poll_once()

    assert small_node.job().state is JobState.QUEUED


@pytest.mark.parametrize(
    ("condition", "is_for_it"),
    [
        ({}, True),
        ({"calling_aets": ["SCANNER"]}, True),
        ({"calling_aets": ["CT2"]}, False),
        ({"called_aet": "OTHER"}, False),
    ],
)
def test_a_series_waits_no_longer_than_its_own_rule_says(
    small_node: SmallNode, condition: dict[str, object], is_for_it: bool
) -> None:
    small_node.receive()
    hasty = settings(rules=[{**RULE, "name": "hasty", "quiet_s": 2, **condition}])
    small_node.clock.tick(2)
    looks = assembler(small_node, hasty)
    looks.poll_once()
    assert (small_node.job().state is JobState.QUEUED) is is_for_it


def test_a_gap_is_waited_for_named_and_cured_by_the_missing_slices(small_node: SmallNode) -> None:
    looks = assembler(small_node)
    small_node.receive(only=slice(0, 5))
    small_node.receive(only=slice(7, None))
    small_node.clock.tick(20)
    looks.poll_once()
    job = small_node.job()
    assert job.state is JobState.WAITING
    assert job.reason.startswith("incomplete: 2 slices missing: z=")

    small_node.receive(only=slice(5, 7))
    small_node.clock.tick(20)
    looks.poll_once()

    assert small_node.job().state is JobState.QUEUED


def test_a_gap_that_nobody_fills_is_refused_after_its_time(small_node: SmallNode) -> None:
    small_node.receive(CtExport(dropped=(5,)))
    small_node.clock.tick(99)
    assembler(small_node).poll_once()
    assert small_node.job().state is JobState.WAITING

    small_node.clock.tick(1)
    assembler(small_node).poll_once()

    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert "1 slice missing" in job.reason


def test_what_more_slices_cannot_cure_is_refused_at_once(
    small_node: SmallNode, caplog: pytest.LogCaptureFixture
) -> None:
    small_node.receive(CtExport(gantry_tilt_deg=15.0))
    small_node.clock.tick(20)
    assembler(small_node).poll_once()
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert "tilt" in job.reason.lower()
    assert f"job {job.id} refused: {job.reason}" in caplog.messages


def test_two_slice_distances_are_refused_at_once_for_nothing_can_come(small_node: SmallNode) -> None:
    heights = sorted(float(z) for z in _heights())
    step, middle = heights[1] - heights[0], heights[len(heights) // 2]

    def wider_above_the_middle(image: Dataset) -> None:
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x, y, round(z + max(0.0, z - middle), 6)]

    assert step > 1
    small_node.receive(change=wider_above_the_middle)
    small_node.clock.tick(20)
    assembler(small_node).poll_once()
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert "missing" not in job.reason


def _heights() -> list[float]:
    files = ct_files(small_volume())
    return [dcmread(BytesIO(file.data), stop_before_pixels=True).ImagePositionPatient[2] for file in files]


def test_without_a_rule_the_images_are_kept_and_the_admin_reads_why(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.clock.tick(20)
    other = settings(rules=[{**RULE, "calling_aets": ["PACS"]}])
    assembler(small_node, other).poll_once()
    job = small_node.job()
    assert job.state is JobState.NOTHING_TO_CONTOUR
    assert job.reason.startswith(
        "nothing to contour: no rule matches a series sent by SCANNER to CONTOURNODE"
    )
    assert len(small_node.book.instances_of(job.id)) == job.slice_count


def test_a_rule_reads_the_body_part_of_the_images(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.clock.tick(20)
    pelvis = {**RULE, "name": "pelvis", "body_part": "^PELVIS$"}
    head = {**RULE, "body_part": "^HEADNECK$"}
    assembler(small_node, settings(rules=[pelvis, head])).poll_once()
    assert small_node.job().rule == "head-neck"


def test_a_sender_that_nobody_can_return_to_is_named(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.clock.tick(20)
    rule = {"name": "back", "model": "hn_oar", "return_to_sender": True}
    peers = {"other": {"ae_title": "OTHER", "host": "127.0.0.1", "port": 105}}
    assembler(small_node, settings(rules=[rule], peers=peers)).poll_once()
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert "no peer with host and port has the AE title SCANNER" in job.reason


def test_a_localizer_is_set_aside_and_the_history_says_so(small_node: SmallNode) -> None:
    small_node.receive(CtExport(localizer=True))
    small_node.clock.tick(20)
    assembler(small_node).poll_once()
    job = small_node.job()
    assert job.state is JobState.QUEUED
    closed = small_node.book.events(job.id)[-1].message
    assert "1 localizer is not contoured: image 2.25." in closed


@pytest.mark.parametrize(
    ("brighter", "words"),
    [(0, "Their pixels are the same: it is one image under two UIDs."), (1, "Their pixels differ")],
)
def test_two_images_at_one_position_are_named_and_compared(
    small_node: SmallNode, brighter: int, words: str
) -> None:
    def twin(image: Dataset) -> None:
        image.SOPInstanceUID += ".7"
        image.PixelData = bytes(byte ^ brighter for byte in image.PixelData)

    small_node.receive()
    small_node.receive(only=slice(4, 5), change=twin)
    small_node.clock.tick(20)
    assembler(small_node).poll_once()
    job = small_node.job()
    assert job.state is JobState.REFUSED
    twins = [
        i.sop_instance_uid for i in small_node.book.instances_of(job.id) if i.sop_instance_uid.endswith(".7")
    ]
    assert twins[0] in job.reason
    assert twins[0].removesuffix(".7") + " and" in job.reason
    assert words in job.reason


def test_a_numbering_with_holes_is_told_in_the_history_where_nobody_knows_better(
    small_node: SmallNode,
) -> None:
    every_second = tuple(range(1, len(small_volume().array_zyx), 2))
    small_node.receive(CtExport(dropped=every_second))
    small_node.clock.tick(20)
    assembler(small_node).poll_once()
    job = small_node.job()
    assert job.state is JobState.QUEUED  # geometry alone cannot tell
    assert "Instance Number (0020,0013) runs from" in small_node.book.events(job.id)[-1].message


def looked_at(node: SmallNode, change: Callable[[Dataset], None]) -> JobStatus:
    """The job of a series whose images were changed, after one look at it when it was quiet."""
    node.receive(change=change)
    node.clock.tick(20)
    node.assembler().poll_once()
    return node.job()


def upper(image: Dataset) -> bool:
    return int(image.InstanceNumber) > 7


def of_another_patient(image: Dataset) -> None:
    if upper(image):
        image.PatientID, image.PatientBirthDate = "OTHER", "19550505"


def in_another_unit(image: Dataset) -> None:
    image.RescaleType = "EDW"


def of_another_phase(image: Dataset) -> None:
    image.TemporalPositionIdentifier = 1 + int(image.InstanceNumber) % 2


def aside(image: Dataset) -> None:
    if image.InstanceNumber == 7:
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x + 0.5, y, z]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_another_patient, "Patient ID (0010,0020) differs between image"),
        (in_another_unit, "Rescale Type (0028,1054) is 'EDW', not HU: these are not Hounsfield units"),
        (
            of_another_phase,
            "two phases lie in one series and take turns along it (Temporal Position Identifier",
        ),
        (aside, "lies 0.50 mm beside the line of the other 13 slices"),
    ],
)
def test_what_makes_no_volume_of_one_patient_is_refused_without_waiting(
    small_node: SmallNode, change: Callable[[Dataset], None], words: str
) -> None:
    job = looked_at(small_node, change)
    assert job.state is JobState.REFUSED
    assert words in job.reason


def test_a_rescale_type_of_the_settings_and_a_stated_tilt_are_told_in_the_history(
    small_node: SmallNode,
) -> None:
    def unspecified(image: Dataset) -> None:
        image.RescaleType, image.GantryDetectorTilt = "US", "12"

    job = looked_at(small_node, unspecified)
    assert job.state is JobState.QUEUED
    told = small_node.book.events(job.id)[-1].message
    assert "Rescale Type (0028,1054) is 'US'; the values are taken for Hounsfield units" in told
    assert "Gantry/Detector Tilt (0018,1120) says 12 degrees" in told

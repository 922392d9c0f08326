"""What is not for contouring ends quietly, and is judged again when more of it comes."""

from collections.abc import Callable

import pytest
from pydicom import Dataset

from service.assemble import Assembler
from service.config import OnFailure, Peer
from service.store import EventKind, FailureReportQueue, JobState, JobStatus
from tests.support.small_node import RULE, SmallNode, settings

TELLING = settings(rules=[{**RULE, "on_failure": OnFailure.CAPTURE}])
NOTHING = JobState.NOTHING_TO_CONTOUR


def judged(node: SmallNode, looks: Assembler | None = None) -> JobStatus:
    node.clock.tick(20)
    (looks or node.assembler(TELLING)).poll_once()
    return node.job()


def localizer(image: Dataset) -> None:
    image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    image.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def dose_screen(image: Dataset) -> None:
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER", "DOSE_INFO"]
    del image.ImagePositionPatient, image.ImageOrientationPatient


def converted(image: Dataset) -> None:
    image.ConversionType = "WSD"
    del image.ImagePositionPatient, image.ImageOrientationPatient


def no_place_and_secondary(image: Dataset) -> None:
    image.ImageType = ["DERIVED", "SECONDARY"]
    del image.ImagePositionPatient, image.FrameOfReferenceUID


@pytest.mark.parametrize(
    ("change", "count", "words"),
    [
        (localizer, 2, "2 localizers"),
        (dose_screen, 1, "1 screen page"),
        (dose_screen, 3, "3 screen pages"),
        (converted, 4, "4 screen pages"),
        (no_place_and_secondary, 2, "2 screen pages"),
        (None, 1, "1 slice"),
    ],
)
def test_scouts_screens_and_single_slices_end_quietly_at_once(
    small_node: SmallNode, change: Callable[[Dataset], None] | None, count: int, words: str
) -> None:
    small_node.receive(only=slice(0, count), change=change)
    job = judged(small_node)
    assert (job.state, job.reason) == (NOTHING, f"nothing to contour: {words}")
    assert [event.kind for event in small_node.book.events(job.id)] == [
        EventKind.OPENED,
        EventKind.NOTHING_TO_CONTOUR,
    ]
    assert FailureReportQueue(small_node.database).next_failure() is None


def test_a_localizer_and_a_single_slice_are_nothing_to_contour(small_node: SmallNode) -> None:
    small_node.receive(only=slice(0, 1))
    small_node.receive(only=slice(1, 3), change=localizer)
    assert judged(small_node).reason == "nothing to contour: 1 slice and 2 localizers"


def one_place(image: Dataset) -> None:
    image.ImagePositionPatient = [0, 0, 12.5]


@pytest.mark.parametrize("count", [2, 8])
def test_slices_of_one_place_again_and_again_are_nothing_to_contour(
    small_node: SmallNode, count: int
) -> None:
    small_node.receive(only=slice(0, count), change=one_place)
    job = judged(small_node)
    assert job.state is NOTHING
    assert job.reason == (
        f"nothing to contour: {count} slices at one position (bolus tracking, or one slice again and again)"
    )


def test_a_dose_page_inside_a_series_is_named_and_the_series_contoured(small_node: SmallNode) -> None:
    small_node.receive(only=slice(1, None))
    small_node.receive(only=slice(0, 1), change=dose_screen)
    job = judged(small_node)
    assert job.state is JobState.QUEUED
    assert "1 screen page is not contoured: image 2.25." in small_node.book.events(job.id)[-1].message


def test_slices_that_come_later_are_judged_with_what_was_there(small_node: SmallNode) -> None:
    small_node.receive(only=slice(0, 1))
    first = judged(small_node)
    small_node.receive(only=slice(1, None))
    job = judged(small_node)
    assert (job.state, job.version) == (JobState.QUEUED, 2)
    assert job.slice_count == len(small_node.book.instances_of(job.id)) > 1
    assert small_node.book.job(first.id).state is NOTHING
    assert small_node.book.job(first.id).superseded_by == job.id


def test_a_rule_that_is_added_contours_what_none_was_for(small_node: SmallNode) -> None:
    small_node.receive()
    job = judged(small_node, small_node.assembler(settings(rules=[{**RULE, "body_part": "^PELVIS$"}])))
    assert job.state is NOTHING
    assert job.reason.startswith(
        "nothing to contour: no rule matches a series sent by SCANNER to CONTOURNODE"
    )
    assert small_node.changes.retry(job.id) is JobState.RECEIVING
    assert judged(small_node).state is JobState.QUEUED


def test_a_series_without_a_rule_does_not_wait_for_slices(small_node: SmallNode) -> None:
    small_node.receive(only=slice(0, 4))
    small_node.receive(only=slice(6, None))
    elsewhere = small_node.assembler(settings(rules=[{**RULE, "calling_aets": ["PACS"]}]))
    assert judged(small_node, elsewhere).state is NOTHING


def test_one_slice_of_which_the_sender_has_more_is_waited_for(small_node: SmallNode) -> None:
    peers = {"ct": {"ae_title": "SCANNER", "host": "127.0.0.1", "port": 104, "answers_queries": True}}

    def ask(peer: Peer, study_uid: str, series_uid: str) -> int:
        return 80

    looks = small_node.assembler(settings(peers=peers), ask)
    small_node.receive(only=slice(0, 1))
    judged(small_node, looks)
    job = judged(small_node, looks)
    assert job.state is JobState.WAITING
    assert job.reason == "incomplete: has 1 of the 80 images that SCANNER says the series has."


def test_a_lost_file_is_no_reason_to_be_quiet(small_node: SmallNode) -> None:
    small_node.receive(only=slice(0, 2), change=localizer)
    for image in small_node.book.instances_of(small_node.job().id)[:1]:
        small_node.files.take_out(image.file.path)
    job = judged(small_node)
    assert job.state is JobState.REFUSED
    assert "is missing or damaged; send the series again" in job.reason


def test_slices_without_a_position_that_claim_to_be_slices_are_refused(small_node: SmallNode) -> None:
    def no_position(image: Dataset) -> None:
        del image.ImagePositionPatient

    small_node.receive(change=no_position)
    job = judged(small_node)
    assert job.state is JobState.REFUSED
    assert "Image Position (Patient) (0020,0032) is missing" in job.reason

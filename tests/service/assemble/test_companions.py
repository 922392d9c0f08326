"""Rules that wait for other series of the study."""

from collections.abc import Callable, Mapping

import pytest
from pydicom import Dataset

from service.config import Settings
from service.store import JobState
from tests.support.small_node import RULE, SmallNode, settings

MR = "1.2.840.10008.5.1.4.1.1.4"


def waiting(wait_for: Mapping[str, object], **more: object) -> Settings:
    return settings(rules=[{**RULE, "wait_for": [wait_for], **more}])


def other_series(number: int, description: str, sop_class: str = "") -> Callable[[Dataset], None]:
    def change(image: Dataset) -> None:
        image.SeriesInstanceUID += f".{number}"
        image.SOPInstanceUID += f".{number}"
        image.SeriesDescription = description
        if sop_class:
            image.SOPClassUID, image.Modality = sop_class, "MR"

    return change


def test_a_series_waits_for_another_and_says_for_which(small_node: SmallNode) -> None:
    looks = small_node.assembler(waiting({"series_description": "^T1 ", "modality": "MR"}))
    small_node.receive()
    small_node.receive(only=slice(0, 2), change=other_series(1, "T2 space", MR))
    small_node.clock.tick(20)
    looks.poll_once()
    job = small_node.job()
    assert (job.state, job.completeness) == (JobState.WAITING, "waiting")
    assert job.reason == "for series matching '^T1 ' of MR in this study: 0 of 1 here"

    small_node.receive(only=slice(0, 2), change=other_series(2, "T1 mprage", MR))
    looks.poll_once()
    assert small_node.job().reason.endswith("0 of 1 here, 1 more not complete")

    small_node.clock.tick(10)
    looks.poll_once()
    assert small_node.job().state is JobState.QUEUED


def test_phases_that_wait_for_each_other_go_together(small_node: SmallNode) -> None:
    looks = small_node.assembler(waiting({"series_description": "phase", "modality": "CT", "count": 3}))
    for number in (1, 2):
        small_node.receive(change=other_series(number, f"phase {number}0%"))
    small_node.clock.tick(20)
    looks.poll_once()
    assert {job.reason for job in small_node.book.list_jobs()} == {
        "for series matching 'phase' of CT in this study: 2 of 3 here"
    }
    small_node.receive(only=slice(0, 5), change=other_series(3, "phase 30%"))
    small_node.receive(only=slice(6, None), change=other_series(3, "phase 30%"))
    small_node.clock.tick(20)
    looks.poll_once()
    assert [job.completeness for job in small_node.book.list_jobs()] == ["incomplete", "waiting", "waiting"]
    small_node.receive(only=slice(5, 6), change=other_series(3, "phase 30%"))
    small_node.clock.tick(20)
    looks.poll_once()
    assert {job.state for job in small_node.book.list_jobs()} == {JobState.QUEUED}


@pytest.mark.parametrize(("then", "state"), [("contour", JobState.QUEUED), ("refuse", JobState.REFUSED)])
def test_what_never_comes_is_waited_for_from_the_last_image_of_the_study(
    small_node: SmallNode, then: str, state: JobState
) -> None:
    tree = waiting({"modality": "MR", "count": 2}, wait_for_timeout_s=300, wait_for_then=then)
    looks = small_node.assembler(tree)
    small_node.receive()
    small_node.clock.tick(200)
    small_node.receive(only=slice(0, 1), change=other_series(1, "T1", MR))
    small_node.clock.tick(299)
    looks.poll_once()
    assert small_node.job().state is JobState.WAITING
    small_node.clock.tick(1)
    looks.poll_once()
    job = small_node.job()
    assert job.state is state
    said = small_node.book.events(job.id)[-1].message
    assert "for series of MR in this study: 1 of 2 here" in said
    assert "300 s" in said


def test_a_cancelled_series_is_not_one_that_others_can_count_on(small_node: SmallNode) -> None:
    looks = small_node.assembler(waiting({"series_description": "phase", "count": 2}))
    small_node.receive(change=other_series(1, "phase 10%"))
    small_node.changes.cancel(small_node.job().id)
    small_node.receive(change=other_series(2, "phase 20%"))
    small_node.clock.tick(20)
    looks.poll_once()
    assert (
        small_node.job().reason
        == "for series matching 'phase' in this study: 1 of 2 here, 1 more not complete"
    )

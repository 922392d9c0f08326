"""One series under two called AE titles, or from two senders: half sets do not pass for the whole."""

import pytest
from pydicom import Dataset

from service.store import EventKind, JobState, JobStatus
from tests.support.small_node import RULE, SmallNode, settings, small_volume

COUNT = len(small_volume().array_zyx)
HALF = COUNT // 2


def two_halves(node: SmallNode, **second: str) -> tuple[int, int]:
    node.receive(only=slice(0, HALF))
    first = node.job().id
    node.receive(only=slice(HALF, None), **({"called": "CN_B"} | second))
    return first, node.job().id


def look(node: SmallNode, split: str, *, after_s: float = 20) -> None:
    node.clock.tick(after_s)
    node.assembler(settings(rules=[{**RULE, "split_series": split}])).poll_once()


def jobs(node: SmallNode, *numbers: int) -> list[JobStatus]:
    return [node.book.job(number) for number in numbers]


def test_half_sets_are_held_and_say_where_the_other_half_is(small_node: SmallNode) -> None:
    first, second = two_halves(small_node)
    small_node.clock.tick(20)
    small_node.assembler().poll_once()  # the default
    one, other = jobs(small_node, first, second)
    assert (one.state, other.state) == (JobState.WAITING, JobState.WAITING)
    assert one.reason == (
        f"incomplete: {COUNT - HALF} other images of this series came from SCANNER to CN_B (job {second}, receiving); "
        "send the whole series under one AE title, or set split_series in rule head-neck."
    )
    assert f"{HALF} other images of this series came from SCANNER to CONTOURNODE (job {first}" in other.reason


def test_half_sets_of_two_senders_are_held_and_refused_after_their_time(small_node: SmallNode) -> None:
    first, second = two_halves(small_node, called="CONTOURNODE", calling="ARCHIVE")
    look(small_node, "hold", after_s=100)
    for job, sender in zip(jobs(small_node, first, second), ("ARCHIVE", "SCANNER"), strict=True):
        assert job.state is JobState.REFUSED
        assert f"came from {sender} to CONTOURNODE" in job.reason


def test_merged_halves_are_contoured_once_with_all_their_images(small_node: SmallNode) -> None:
    first, second = two_halves(small_node)
    look(small_node, "merge")
    look(small_node, "merge", after_s=1)
    one, other = jobs(small_node, first, second)
    assert (one.state, one.slice_count) == (JobState.QUEUED, COUNT)
    assert len(small_node.book.instances_of(first)) == COUNT
    assert (other.state, other.superseded_by) == (JobState.SUPERSEDED, first)
    notes = [e.message for e in small_node.book.events(first) if e.kind is EventKind.NOTE]
    assert notes == [
        f"{COUNT - HALF} more images of this series, which came under other AE titles, belong to the job"
    ]


def test_a_half_is_not_merged_while_the_other_is_growing(small_node: SmallNode) -> None:
    first, _ = two_halves(small_node)
    small_node.clock.tick(15)
    small_node.receive(only=slice(HALF, HALF + 1), called="CN_B", change=_another)
    look(small_node, "merge", after_s=9)
    assert small_node.book.job(first).slice_count == HALF


def _another(image: object) -> None:
    image.SOPInstanceUID += ".9"  # type: ignore[attr-defined]
    image.ImagePositionPatient[2] += 500  # type: ignore[attr-defined]


def test_parts_that_are_contoured_apart_carry_their_doubt(small_node: SmallNode) -> None:
    first, second = two_halves(small_node)
    look(small_node, "separate")
    assert [job.state for job in jobs(small_node, first, second)] == [JobState.QUEUED, JobState.QUEUED]
    claim = small_node.queue.claim("w1", lease_s=60, max_attempts=3)
    assert claim is not None
    assert claim.doubt == (
        f"Instance Number (0020,0013) runs from {COUNT - HALF + 1} to {COUNT} over {HALF} slices; "
        f"{COUNT - HALF} other images of this series came from SCANNER to CN_B (job {second}, receiving)"
    )


def test_a_part_gives_way_to_a_job_that_has_all_of_its_series(small_node: SmallNode) -> None:
    first, second = two_halves(small_node)
    small_node.receive(only=slice(0, HALF), called="CN_B")
    look(small_node, "hold")
    look(small_node, "hold", after_s=1)
    one, whole = jobs(small_node, first, second)
    assert (whole.state, whole.slice_count) == (JobState.QUEUED, COUNT)
    assert (one.state, one.superseded_by) == (JobState.SUPERSEDED, second)


def test_a_whole_series_that_comes_under_two_titles_is_contoured_for_each(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.receive(calling="ARCHIVE")
    look(small_node, "hold")
    assert [job.state for job in small_node.book.list_jobs()] == [JobState.QUEUED, JobState.QUEUED]


def test_a_half_that_was_contoured_before_the_other_came_says_so_in_its_history(
    small_node: SmallNode,
) -> None:
    small_node.receive(only=slice(0, HALF))
    look(small_node, "hold")
    first = small_node.job().id
    small_node.receive(only=slice(HALF, None), called="CN_B")
    look(small_node, "hold")
    look(small_node, "hold")
    assert small_node.job().state is JobState.WAITING
    notes = [e.message for e in small_node.book.events(first) if e.kind is EventKind.NOTE]
    assert notes == [
        "other images of this series came from SCANNER to CN_B (job 2): this one may have only a part of the series"
    ]


@pytest.mark.parametrize("split", ["hold", "merge", "separate"])
def test_halves_of_two_patients_are_refused_whatever_the_rule_wants(
    small_node: SmallNode, split: str
) -> None:
    def somebody_else(image: Dataset) -> None:
        image.PatientID, image.PatientName = "OTHER", "OTHER^PERSON"

    small_node.receive(only=slice(0, HALF))
    small_node.receive(only=slice(HALF, None), called="CN_B", change=somebody_else)
    look(small_node, split)
    images = {
        image.sop_instance_uid
        for job in small_node.book.list_jobs()
        for image in small_node.book.instances_of(job.id)
    }
    for job in small_node.book.list_jobs():
        assert job.state is JobState.REFUSED
        assert "Patient ID (0010,0020)" in job.reason
        assert "two patients in one series" in job.reason
        assert sum(uid in job.reason for uid in images) == 2
        assert "OTHER" not in job.reason


def test_slices_of_another_patient_in_one_series_are_refused_before_the_model(small_node: SmallNode) -> None:
    def somebody_else(image: Dataset) -> None:
        image.PatientID = "OTHER"

    small_node.receive(only=slice(0, HALF))
    small_node.receive(only=slice(HALF, None), change=somebody_else)
    look(small_node, "hold")
    (job,) = small_node.book.list_jobs()
    assert job.state is JobState.REFUSED
    assert "Patient ID (0010,0020) differs between image " in job.reason

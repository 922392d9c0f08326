"""What the sender says of the number of images, and what becomes of a series when it says nothing."""

import threading
import time
from collections.abc import Callable

import pytest
from pydicom import Dataset

from phantoms.dicom import CtExport
from phantoms.dicom_modules import Identity
from service.assemble import Assembler, SenderCounts
from service.assemble.sender_counts import ImageCount
from service.config import Peer, Settings
from service.scu.outcome import Failure, PermanentRefusal, TransientFailure
from service.store import JobState
from tests.support.clock import ManualClock
from tests.support.node import until
from tests.support.small_node import SmallNode, settings, small_volume

SLICES = len(small_volume().array_zyx)
SCANNER = {"ae_title": "SCANNER", "host": "127.0.0.1", "port": 104, "answers_queries": True}


def asking() -> Settings:
    return settings(peers={"scanner": SCANNER})


def answers(what: int | Failure) -> Callable[[Peer, str, str], int | Failure]:
    return lambda _peer, _study, _series: what


def look_until_answered(node: SmallNode, looks: Assembler) -> None:
    """One look asks, one that finds the answer decides."""
    looks.poll_once()
    give_up = time.monotonic() + 20
    while any(looks.counts.of(job) is None for job in node.series.open_jobs()):
        assert time.monotonic() < give_up
        time.sleep(0.005)
    looks.poll_once()


def last_message(node: SmallNode) -> str:
    return node.book.events(node.job().id)[-1].message


def test_what_looks_whole_waits_for_the_slices_that_the_sender_still_has(small_node: SmallNode) -> None:
    looks = small_node.assembler(asking(), answers(SLICES))
    small_node.receive(only=slice(0, SLICES - 4))
    small_node.clock.tick(20)
    look_until_answered(small_node, looks)
    job = small_node.job()
    assert (job.state, job.completeness, job.expected_images) == (JobState.WAITING, "incomplete", SLICES)
    assert job.reason == (
        f"incomplete: has {SLICES - 4} of the {SLICES} images that SCANNER says the series has."
    )

    small_node.receive(only=slice(SLICES - 4, None))
    small_node.clock.tick(20)
    look_until_answered(small_node, looks)

    assert small_node.job().state is JobState.QUEUED
    assert last_message(small_node).endswith(f"SCANNER says the series has {SLICES} images")


def test_slices_that_never_come_are_a_refusal_and_never_contours(small_node: SmallNode) -> None:
    looks = small_node.assembler(asking(), answers(SLICES))
    small_node.receive(only=slice(0, SLICES - 1))
    small_node.clock.tick(100)
    look_until_answered(small_node, looks)
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert f"has {SLICES - 1} of the {SLICES} images that SCANNER says" in job.reason
    assert "Nothing came for 100 s." in job.reason


def test_a_gap_is_told_with_what_the_sender_has(small_node: SmallNode) -> None:
    looks = small_node.assembler(asking(), answers(SLICES))
    small_node.receive(only=slice(0, 4))
    small_node.receive(only=slice(5, None))
    small_node.clock.tick(20)
    look_until_answered(small_node, looks)
    reason = small_node.job().reason
    assert reason.startswith("incomplete: 1 slice missing: z=")
    assert reason.endswith(
        f"The node has {SLICES - 1} of the {SLICES} images that SCANNER says the series has."
    )


def test_more_images_than_the_sender_counts_are_enough(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.clock.tick(20)
    look_until_answered(small_node, small_node.assembler(asking(), answers(SLICES - 2)))
    assert small_node.job().state is JobState.QUEUED


def test_objects_of_the_series_that_are_no_ct_images_count_too(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.receive(only=slice(0, 1), change=_as_dose)
    small_node.clock.tick(20)
    look_until_answered(small_node, small_node.assembler(asking(), answers(SLICES + 1)))
    assert small_node.job().state is JobState.QUEUED


@pytest.mark.parametrize(
    "failure",
    [
        TransientFailure(reason="no connection to SCANNER at 127.0.0.1:104"),
        PermanentRefusal(reason="SCANNER does not know the series"),
    ],
)
def test_a_sender_that_cannot_be_asked_holds_nothing_up_and_the_history_says_so(
    small_node: SmallNode, failure: Failure
) -> None:
    small_node.receive()
    small_node.clock.tick(20)
    look_until_answered(small_node, small_node.assembler(asking(), answers(failure)))
    assert small_node.job().state is JobState.QUEUED
    said = f"number of images not known ({failure.reason}), judged by the slices alone"
    assert said in last_message(small_node)
    assert small_node.job().expected_images is None


def test_a_sender_that_is_slow_to_answer_is_waited_for_only_so_long(small_node: SmallNode) -> None:
    hold = threading.Event()

    def ask(peer: Peer, study_uid: str, series_uid: str) -> int:
        assert hold.wait(30)
        return 1

    looks = small_node.assembler(asking(), ask)
    small_node.receive()
    small_node.clock.tick(20)
    looks.poll_once()
    assert small_node.job().state is JobState.RECEIVING
    small_node.clock.tick(10)
    looks.poll_once()
    hold.set()
    assert small_node.job().state is JobState.QUEUED
    assert "SCANNER has not answered yet" in last_message(small_node)


def test_a_silent_sender_is_asked_once_for_all_its_series(small_node: SmallNode) -> None:
    asked: list[str] = []

    def ask(peer: Peer, study_uid: str, series_uid: str) -> Failure:
        asked.append(series_uid)
        return TransientFailure(reason="no connection")

    looks = small_node.assembler(asking(), ask)
    for number in range(3):
        small_node.receive(CtExport(identity=Identity(study=str(number))))
    small_node.clock.tick(20)
    look_until_answered(small_node, looks)
    assert {job.state for job in small_node.book.list_jobs()} == {JobState.QUEUED}
    assert len(asked) == 1
    small_node.receive(CtExport(identity=Identity(study="later")))
    small_node.clock.tick(60)
    look_until_answered(small_node, looks)
    assert len(asked) == 2


def test_a_sender_that_does_not_answer_queries_is_not_asked(small_node: SmallNode) -> None:
    small_node.receive()
    small_node.clock.tick(20)
    peers = {"scanner": SCANNER | {"answers_queries": False}}
    small_node.assembler(settings(peers=peers)).poll_once()
    assert small_node.job().state is JobState.QUEUED


def test_a_late_slice_is_counted_anew(small_node: SmallNode) -> None:
    counted = [SLICES - 1]
    looks = small_node.assembler(asking(), lambda _peer, _study, _series: counted[0])
    small_node.receive(only=slice(0, SLICES - 1))
    small_node.clock.tick(20)
    look_until_answered(small_node, looks)
    assert small_node.job().state is JobState.QUEUED

    counted[0] = SLICES + 5
    small_node.receive()
    small_node.clock.tick(20)
    look_until_answered(small_node, looks)
    job = small_node.job()
    assert (job.version, job.state, job.expected_images) == (2, JobState.WAITING, SLICES + 5)


def _as_dose(image: Dataset) -> None:
    image.SOPClassUID, image.Modality = "1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"
    image.SOPInstanceUID += ".9"


def test_a_sender_is_asked_again_while_slices_are_missing_and_its_last_word_holds_meanwhile(
    small_node: SmallNode,
) -> None:
    counted, hold = [SLICES], threading.Event()
    hold.set()

    def ask(peer: Peer, study_uid: str, series_uid: str) -> int:
        assert hold.wait(30)
        return counted[0]

    looks = small_node.assembler(asking(), ask)
    small_node.receive(only=slice(0, 4))
    small_node.receive(only=slice(5, None))
    small_node.clock.tick(10)
    look_until_answered(small_node, looks)
    reason = small_node.job().reason
    assert reason.endswith(f"of the {SLICES} images that SCANNER says the series has.")
    hold.clear()
    counted[0] = SLICES + 2
    small_node.clock.tick(60)
    looks.poll_once()
    assert small_node.job().reason == reason
    hold.set()
    until(lambda: looks.poll_once() or f"of the {SLICES + 2} images" in small_node.job().reason)


def test_a_sender_is_asked_again_after_the_time_between_questions_and_not_before(
    small_node: SmallNode,
) -> None:
    small_node.receive()
    (job,) = small_node.series.open_jobs()
    peer, clock, said = Peer.model_validate(SCANNER), ManualClock(), iter([11, 12, 13])
    with SenderCounts(lambda *_: next(said), {"s": peer}, clock, every_s=60, patience_s=10) as counts:
        until(lambda: counts.of(job) == ImageCount(images=11))
        clock.tick(59.9)
        assert counts.of(job) == ImageCount(images=11)
        clock.tick(0.1)
        until(lambda: counts.of(job) == ImageCount(images=12))
        counts.keep_only({job.id})
        assert counts.of(job) == ImageCount(images=12)
        counts.keep_only({job.id + 1})
        until(lambda: counts.of(job) == ImageCount(images=13))


def test_a_slow_sender_has_its_patience_and_no_more(small_node: SmallNode) -> None:
    small_node.receive()
    (job,) = small_node.series.open_jobs()
    peer, clock, hold = Peer.model_validate(SCANNER), ManualClock(), threading.Event()

    def ask(_peer: Peer, _study: str, _series: str) -> int:
        assert hold.wait(30)
        return 11

    with SenderCounts(ask, {"s": peer}, clock, every_s=60, patience_s=10) as counts:
        assert counts.of(job) is None
        clock.tick(9.9)
        assert counts.of(job) is None
        clock.tick(0.1)
        assert counts.of(job) == ImageCount(why_not="SCANNER has not answered yet")
        hold.set()
        until(lambda: counts.of(job) == ImageCount(images=11))


def test_a_sender_that_could_not_be_reached_is_left_alone_for_a_while(small_node: SmallNode) -> None:
    for number in range(3):
        small_node.receive(CtExport(identity=Identity(study=str(number))))
    first, second, third = small_node.series.open_jobs()
    peer, clock, asked = Peer.model_validate(SCANNER), ManualClock(), []

    def ask(_peer: Peer, study: str, _series: str) -> Failure:
        asked.append(study)
        return TransientFailure(reason="no connection")

    away = ImageCount(why_not="no connection")
    with SenderCounts(ask, {"s": peer}, clock, every_s=60, patience_s=10) as counts:
        until(lambda: counts.of(first) == away)
        clock.tick(59.9)
        until(lambda: counts.of(second) == away)
        assert asked == [first.study_uid]
        clock.tick(0.1)
        until(lambda: counts.of(third) == away)
        assert asked == [first.study_uid, third.study_uid]

"""A stored file that is found damaged, and its cure, are lines in the history of the jobs that need it."""

import pytest

from service.store import EventKind, JobState, RecordOutcome, RetentionStore
from service.store.jobs.integrity import MOST_NAMED
from tests.support.arrivals import SERIES, Node, received


def notes(node: Node, job_id: int) -> list[str]:
    return [event.message for event in node.book.events(job_id) if event.kind is EventKind.NOTE]


def of_image(number: int, node: Node) -> str:
    uid = f"{SERIES}.{number}"
    kept = node.book.instances_of_series(SERIES)
    return next(one.file.path for one in kept if one.sop_instance_uid == uid)


@pytest.mark.parametrize("find", ["start", "assembler", "worker", "verification"])
def test_each_find_is_one_line_that_names_the_image_and_its_cure(node: Node, find: str) -> None:
    job = node.job_in(JobState.QUEUED)
    path = of_image(2, node)
    keeper = RetentionStore(node.database)
    (checkable,) = [one for one in keeper.to_verify() if one.file.path == path]
    ways = {
        "start": lambda: node.book.mark_damaged([path]),
        "assembler": lambda: node.series.damaged(path),
        "worker": lambda: node.work.damaged(path),
        "verification": lambda: keeper.checked(checkable, whole=False),
    }
    for _ in range(2):
        ways[find]()
    assert notes(node, job) == [
        f"the stored file of image {SERIES}.2 is missing or damaged; send the series again"
    ]
    node.receive(received(1), received(2))
    assert notes(node, job)[1:] == [f"the stored file of image {SERIES}.2 is whole again: sent again"]
    ways[find]()
    assert len(notes(node, job)) == 3  # found once more


def test_every_job_that_has_the_image_is_told_and_no_other(node: Node) -> None:
    replaced = node.job_in(JobState.DONE)
    node.receive(received(3), received(1, calling="TPS"), received(9, series="1.2.9"))
    newest, of_another, stranger = (one.id for one in reversed(node.book.list_jobs()[:3]))
    node.book.mark_damaged([of_image(1, node), of_image(3, node)])
    both = (
        f"the stored files of 2 images ({SERIES}.1, {SERIES}.3) are missing or damaged; send the series again"
    )
    assert notes(node, newest) == [both]
    assert notes(node, of_another) == [
        f"the stored file of image {SERIES}.1 is missing or damaged; send the series again"
    ]
    assert notes(node, replaced) == notes(node, stranger) == []


def test_a_job_that_is_done_is_told_that_it_stays_so(node: Node) -> None:
    job = node.job_in(JobState.DONE)
    node.book.mark_damaged([of_image(1, node)])
    (said,) = notes(node, job)
    assert said.endswith("is missing or damaged; send the series again; what was made from it stays as it is")


def test_a_refused_job_is_told_of_the_cure_before_the_next_version_begins(node: Node) -> None:
    job = node.job_in(JobState.REFUSED)
    node.book.mark_damaged([of_image(1, node)])
    assert node.receive(received(1), received(2)) == [RecordOutcome.NEW, RecordOutcome.DUPLICATE]
    assert notes(node, job)[1:] == [f"the stored file of image {SERIES}.1 is whole again: sent again"]
    assert node.book.list_jobs()[0].version == 2


def test_many_images_of_one_find_are_one_line_with_their_number(node: Node) -> None:
    node.receive(*(received(number) for number in range(MOST_NAMED + 5)))
    job = node.only_open().id
    node.book.mark_damaged([one.file.path for one in node.book.instances_of(job)])
    (said,) = notes(node, job)
    assert said.startswith(f"the stored files of {MOST_NAMED + 5} images ({SERIES}.0, ")
    assert "and 5 more (`verify --job` lists them)) are missing or damaged; send the series again" in said
    assert said.count(SERIES) == MOST_NAMED


def test_as_many_images_as_are_named_leave_no_more_to_say(node: Node) -> None:
    node.receive(*(received(number) for number in range(MOST_NAMED)))
    job = node.only_open().id
    node.book.mark_damaged([one.file.path for one in node.book.instances_of(job)])
    (said,) = notes(node, job)
    assert "more" not in said
    assert said.count(SERIES) == MOST_NAMED == 10


def test_a_file_put_back_by_a_person_is_told_as_whole(node: Node) -> None:
    job = node.job_in(JobState.RECEIVING)
    keeper = RetentionStore(node.database)
    one = keeper.to_verify()[0]
    for whole in (True, False, True, True):
        assert keeper.checked(one, whole=whole)
    (_, cured) = notes(node, job)
    assert cured == f"the stored file of image {SERIES}.1 is whole again: its checksum is right"


def test_a_damaged_structure_set_is_told_to_its_job(node: Node) -> None:
    job = node.job_in(JobState.DONE)
    keeper = RetentionStore(node.database)
    (made,) = [one for one in keeper.to_verify() if one.table == "artifact"]
    for _ in range(2):
        assert keeper.checked(made, whole=False)
    said = "the stored structure set is missing or damaged; `rerun` makes it again once the job has ended"
    assert notes(node, job) == [said]

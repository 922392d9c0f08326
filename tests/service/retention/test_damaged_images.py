"""A stored image that is not what came: nobody contours it, the sender is asked for it, and what comes replaces it."""

import pytest

from service.assemble import Assembler
from service.store import JobState
from service.work import Worker
from tests.service.retention.test_sweeper import spoil
from tests.service.work.test_worker import Server, brainstem_and_larynx, queue_series, worker
from tests.support.small_node import SmallNode


def assembler(node: SmallNode) -> Assembler:
    return node.assembler()


def contours(node: SmallNode) -> Worker:
    return worker(node, Server(brainstem_and_larynx))


def test_a_worker_refuses_it_by_name_and_the_series_sent_again_is_contoured(small_node: SmallNode) -> None:
    queue_series(small_node)
    damaged = small_node.book.instances_of(1)[2]
    spoil(small_node, damaged.file)
    contours(small_node).work_one()
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert damaged.sop_instance_uid in job.reason
    assert "send the series again" in job.reason

    queue_series(small_node)
    contours(small_node).work_one()
    assert (small_node.job().version, small_node.job().state) == (2, JobState.DELIVERING)


@pytest.mark.parametrize("missing", [True, False])
def test_the_assembler_refuses_it_by_name(small_node: SmallNode, missing: bool) -> None:
    small_node.receive()
    damaged = small_node.book.instances_of(1)[0]
    place = small_node.files._root / damaged.file.path
    if missing:
        place.unlink()
    else:
        place.write_bytes(b"\0" * 5000)
    small_node.clock.tick(20)
    assembler(small_node).poll_once()
    job = small_node.job()
    assert job.state is JobState.REFUSED
    assert damaged.sop_instance_uid in job.reason
    small_node.receive()
    assert small_node.job().version == 2


def test_without_room_no_job_is_begun_and_none_is_lost(small_node: SmallNode) -> None:
    queue_series(small_node)
    one = contours(small_node)
    one.has_room = lambda: "disk nearly full"
    stops = iter([False, True])

    class Once:
        def is_set(self) -> bool:
            return next(stops)

        def wait(self, _: float) -> None:
            return None

    one.run(Once())  # type: ignore[arg-type]
    assert (small_node.job().state, small_node.job().attempts) == (JobState.QUEUED, 0)

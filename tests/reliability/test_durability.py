"""A few rounds of the long trial; `make soak` runs hundreds."""

from pathlib import Path

import pytest

from reliability.destination import RecordingDestination
from reliability.durability import run
from reliability.invariants import Sight, is_settled, violations
from reliability.series import make_series
from service.store import JobState
from tests.support.small_node import SmallNode
from tests.support.triton import ENVIRONMENT

pytestmark = pytest.mark.network


@pytest.mark.triton
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.database)])
def test_faults_at_random_instants_lose_nothing_and_do_nothing_twice(tmp_path: Path, database: str) -> None:
    if not ENVIRONMENT.is_dir():
        pytest.skip(f"{ENVIRONMENT} is missing: make triton")
    report = run(tmp_path / "trial", rounds=5, seed=3, database=database, say=False)
    assert [one.wrong for one in report.rounds] == [[]] * 5
    assert report.strikes.total() >= 5
    assert report.structure_sets >= 3


@pytest.fixture
def sight(small_node: SmallNode) -> Sight:
    return Sight(book=small_node.book, content=small_node.content, destination=RecordingDestination())


def test_a_series_without_a_job_is_seen(sight: Sight) -> None:
    series = make_series("LOST", 3)
    assert violations(sight, series, is_whole=False) == []
    (found,) = violations(sight, series, is_whole=True)
    assert found.endswith("it has no job")


def test_a_job_that_is_stuck_and_a_structure_set_of_nobody_are_seen(
    small_node: SmallNode, sight: Sight
) -> None:
    small_node.receive()
    job = small_node.job()
    series = make_series("OTHER", 3)
    stuck = type(series)(series_uid=job.series_uid, calling_aet="SCANNER", slices=series.slices)
    sight.destination.digests["1.2.3"] = {"digest"}
    sight.destination.series_of["1.2.3"] = job.series_uid
    assert not is_settled(sight.book, job.series_uid)
    found = violations(sight, stuck, is_whole=True)
    assert any("is stuck in receiving" in line for line in found)
    assert any("1.2.3, which no job made" in line for line in found)


def test_a_job_that_ended_otherwise_than_done_is_seen(small_node: SmallNode, sight: Sight) -> None:
    small_node.receive()
    seen = small_node.job()
    small_node.changes.cancel(seen.id)
    assert small_node.job().state is JobState.CANCELLED
    series = make_series("OTHER", 3)
    cancelled = type(series)(series_uid=seen.series_uid, calling_aet="SCANNER", slices=series.slices)
    assert any("ended as cancelled" in line for line in violations(sight, cancelled, is_whole=True))

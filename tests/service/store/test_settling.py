"""When an answer to a sender has to wait for the disk: where no file of the batch could restore what was recorded."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import update

from service.store import Database, DatabaseUnavailable, InstanceRecorder, JobState, RecordOutcome
from service.store.intake import group_commit
from service.store.intake.async_commit import AsyncCommitConnection
from service.store.tables.schema import instance
from tests.support.arrivals import Node, received
from tests.support.clock import ManualClock

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Disk:
    """Counts how often it was waited for; broken, it fails."""

    waits: int = 0
    is_broken: bool = False

    def sync(self, _descriptor: int) -> None:
        self.waits += 1
        if self.is_broken:
            raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def waiting(database_url: str, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node whose recorder settles only when it must."""
    monkeypatch.setattr(group_commit, "SETTLE_AFTER_S", 3600.0)
    monkeypatch.setattr(group_commit, "MOST_UNSETTLED", 3)
    clock = ManualClock()
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    with InstanceRecorder(database, AsyncCommitConnection(database, sync=disk.sync)) as recorder:
        yield Node(database=database, clock=clock, recorder=recorder)
        disk.is_broken = False
    database.close()


def test_what_its_own_new_file_restores_waits_for_nothing(waiting: Node, disk: Disk) -> None:
    waiting.receive(received(1), received(1), received(2))
    assert disk.waits == 0


def test_an_image_whose_file_was_there_before_waits(waiting: Node, disk: Disk) -> None:
    one = received(1)
    waiting.receive(replace(one, file=replace(one.file, is_new=False)))
    assert disk.waits == 1


def test_another_sender_of_a_known_image_waits(waiting: Node, disk: Disk) -> None:
    waiting.receive(received(1))
    assert waiting.receive(received(1, calling="OTHER")) == [RecordOutcome.DUPLICATE]
    assert disk.waits == 1, "the file says who sent it first"


def test_an_image_that_comes_back_after_its_removal_waits(waiting: Node, disk: Disk) -> None:
    waiting.receive(received(1))
    with waiting.database.writing() as connection:
        connection.execute(update(instance).values(removed_at=waiting.clock.now))
    assert waiting.receive(received(1)) == [RecordOutcome.NEW]
    assert disk.waits == 1


def test_a_cancelled_series_that_is_sent_again_waits(waiting: Node, disk: Disk) -> None:
    waiting.changes.cancel(waiting.job_in(JobState.RECEIVING))
    waiting.receive(received(1), received(2))
    assert (disk.waits, waiting.only_open().version) == (2, 2)


def test_no_more_than_a_number_of_records_are_unsettled(waiting: Node, disk: Disk) -> None:
    waits = []
    for number in range(1, 9):
        waiting.receive(received(number))
        waits.append(disk.waits)
    assert waits == [0, 0, 0, 1, 1, 1, 1, 2]


def test_a_disk_that_fails_lets_nothing_be_acknowledged_and_loses_nothing(waiting: Node, disk: Disk) -> None:
    waiting.receive(received(1))
    disk.is_broken = True
    one = received(2)
    with pytest.raises(DatabaseUnavailable, match="cannot be made durable: Input/output error"):
        waiting.recorder.record(replace(one, file=replace(one.file, is_new=False)))
    disk.is_broken = False
    assert waiting.receive(received(3)) == [RecordOutcome.NEW]
    assert waiting.only_open().slice_count == 3

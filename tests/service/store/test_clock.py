"""A clock that cannot be right: retention removes nothing and says why, until it is right or a person says so."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from service.application import accept_clock
from service.config import RetentionSettings
from service.retention import RetentionSweep
from service.store import (
    ClockWatch,
    Database,
    DiskGauge,
    FileStore,
    InstanceRecorder,
    JobState,
    NodeIdentity,
    RetentionStore,
    read_clock_doubt,
)
from service.store.node.clock_watch import MachineUptime
from service.store.objects import StoredContent
from tests.support.actors import ADMINISTRATOR
from tests.support.arrivals import RT_DOSE, Node, received
from tests.support.clock import ManualClock

DAY_S = 86400.0


class Machine:
    """A node on a machine whose clock and uptime a test sets."""

    def __init__(self, root: Path, url: str) -> None:
        self.clock = ManualClock()
        self.boot_id = "first"
        self.database = Database(url, clock=self.clock, monotonic=self.clock.monotonic)
        self.files = FileStore(root)
        NodeIdentity(self.database, root).settle()
        self.watch = ClockWatch(
            self.database, lambda: MachineUptime(boot_id=self.boot_id, seconds=self.clock.monotonic())
        )

    def receive(self) -> None:
        dose = received(1, sop_class=RT_DOSE)
        file = self.files.put(dose.sop_instance_uid, b"dose" * 100)
        with InstanceRecorder(self.database) as recorder:
            recorder.record(replace(dose, file=file))

    def removed(self) -> int:
        settings = RetentionSettings(other_objects_days=30)
        sweep = RetentionSweep(
            keeper=RetentionStore(self.database),
            content=StoredContent.in_folder(self.files.root),
            gauge=DiskGauge(Path("/"), settings),
            settings=settings,
            every_s=1,
            clock=self.clock,
            clock_doubt=self.watch.doubt,
            forget_patients=lambda: 0,
        )
        return sum(one.files for one in sweep.sweep())


@pytest.fixture
def machine(tmp_path: Path, database_url: str) -> Iterator[Machine]:
    machine = Machine(tmp_path / "storage", database_url)
    machine.receive()
    assert machine.watch.doubt() == ""
    yield machine
    machine.database.close()


def test_a_clock_31_days_ahead_removes_nothing_and_says_so(machine: Machine) -> None:
    machine.clock.step(31 * DAY_S)
    assert machine.removed() == 0
    assert "by the machine's uptime" in machine.watch.doubt()
    with machine.database.reading() as connection:
        assert "--clock-is-right" in read_clock_doubt(connection)
    machine.clock.step(-31 * DAY_S)
    assert machine.watch.doubt() == ""
    with machine.database.reading() as connection:
        assert read_clock_doubt(connection) == ""


def test_31_days_that_passed_remove_what_is_over(machine: Machine) -> None:
    machine.clock.tick(31 * DAY_S)
    assert machine.removed() == 1


def test_a_clock_that_is_ahead_at_a_start_of_the_machine_is_asked_about(machine: Machine) -> None:
    machine.boot_id = "second"
    machine.clock.step(31 * DAY_S)
    assert "last known to be right" in machine.watch.doubt()
    assert machine.removed() == 0
    accept_clock(machine.database, ADMINISTRATOR)  # on this machine's own uptime
    with machine.database.reading() as connection:
        assert read_clock_doubt(connection) == ""


def test_a_person_can_say_that_the_clock_is_right(machine: Machine) -> None:
    machine.clock.step(31 * DAY_S)
    assert machine.removed() == 0
    with machine.database.writing() as connection:
        machine.watch.accept(connection)
    assert machine.watch.doubt() == ""
    assert machine.removed() == 1


def test_rows_from_the_future_are_a_reason_until_a_person_says_otherwise(machine: Machine) -> None:
    with machine.database.writing() as connection:
        connection.execute(text("UPDATE instance SET received_at = '2031-01-01 00:00:00'"))
    assert "rows were written at 2031-01-01" in machine.watch.doubt()
    with machine.database.writing() as connection:
        machine.watch.accept(connection)
    assert machine.watch.doubt() == ""


def test_a_week_off_is_believed_and_a_month_off_is_asked_about(machine: Machine) -> None:
    machine.boot_id = "second"
    machine.clock.step(6 * DAY_S)
    assert machine.watch.doubt() == ""
    machine.boot_id = "third"
    machine.clock.step(30 * DAY_S)
    assert machine.watch.doubt() != ""


def test_what_was_put_off_while_the_clock_was_ahead_is_due_once_it_is_right(database_url: str) -> None:
    clock = ManualClock()
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    with InstanceRecorder(database) as recorder:
        node = Node(database=database, clock=clock, recorder=recorder)
        node.job_in(JobState.QUEUED)
        clock.step(31 * DAY_S)
        assert node.work.postpone(node.claimed(), reason="busy", delay_s=15)
        clock.step(-31 * DAY_S)
        claim = node.claimed()  # due at once, not in 31 days
        clock.step(31 * DAY_S)
        assert node.work.heartbeat(claim, lease_s=60)
        clock.step(-31 * DAY_S)
        assert node.claim("w2") is None
        clock.tick(60)
        assert node.claim("w2") is not None  # nobody prolonged it for as long as a lease lasts
    database.close()

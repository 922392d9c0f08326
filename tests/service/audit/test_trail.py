from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.audit import AuditWriter
from service.store import (
    AuditEvent,
    AuditKind,
    AuditLog,
    AuditOutcome,
    Database,
    InstanceRecorder,
    JobState,
    audit_action,
    upgrade,
)
from tests.support.arrivals import Node
from tests.support.clock import ManualClock


@pytest.fixture
def node(database_url: str) -> Iterator[Node]:
    clock = ManualClock()
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    with InstanceRecorder(database) as recorder:
        yield Node(database=database, clock=clock, recorder=recorder)
    database.close()


def looked(study: str = "1.2.3") -> AuditEvent:
    return AuditEvent(kind=AuditKind.LOOKED_AT, actor="physicist", study_uid=study)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_event SET actor = 'nobody'", "DELETE FROM audit_event", "TRUNCATE audit_event CASCADE"],
)
def test_the_database_refuses_to_change_or_remove_what_is_in_the_trail(
    database: Database, audit_log: AuditLog, statement: str
) -> None:
    audit_log.append([(database.clock(), looked())])
    with pytest.raises(DBAPIError, match=r"append-only|syntax error"), database.writing() as connection:
        connection.execute(text(statement))
    assert [entry.event for entry in audit_log.entries()] == [looked()]


def test_entries_are_found_by_time_and_study(audit_log: AuditLog) -> None:
    days = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2, 3)]
    audit_log.append([(day, looked(f"1.2.{day.day}")) for day in days])

    def found(**which: object) -> list[int]:
        return [entry.at.day for entry in audit_log.entries(**which)]

    assert found() == [1, 2, 3]
    assert found(since=days[1]) == [2, 3]
    assert found(until=days[1]) == [1]
    assert found(study_uid="1.2.2") == [2]
    assert found(limit=2) == [2, 3]


def test_what_was_forwarded_is_not_forwarded_again(audit_log: AuditLog, database: Database) -> None:
    audit_log.append([(database.clock(), looked(f"1.2.{n}")) for n in range(5)])
    first = audit_log.to_forward(2)
    assert [entry.event.study_uid for entry in first] == ["1.2.0", "1.2.1"]
    audit_log.forwarded([entry.id for entry in first])
    assert [entry.event.study_uid for entry in audit_log.to_forward(9)] == ["1.2.2", "1.2.3", "1.2.4"]


def test_contouring_and_sending_are_in_the_trail_of_their_own_transactions(node: Node) -> None:
    job_id = node.job_in(JobState.DONE)
    entries = AuditLog(node.database).entries()
    assert [(e.event.kind, e.event.outcome, e.event.job_id) for e in entries] == [
        (AuditKind.CONTOURED, AuditOutcome.SUCCESS, job_id),
        (AuditKind.SENT, AuditOutcome.SUCCESS, job_id),
    ]
    assert {e.event.study_uid for e in entries} == {"1.2.3"}
    assert (entries[0].event.actor, entries[1].event.target) == ("hn_oar 1", "tps")


def test_a_destination_that_refuses_for_good_is_in_the_trail(node: Node) -> None:
    node.job_in(JobState.DELIVERING)
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    assert node.outbox.rejected(delivery, reason="0xA900 DOE^JANE is not known here")
    sent = AuditLog(node.database).entries()[-1].event
    assert (sent.kind, sent.outcome, sent.detail) == (AuditKind.SENT, AuditOutcome.SERIOUS_FAILURE, "")


def test_an_order_about_a_job_that_is_not_there_is_in_the_trail_too(
    audit_log: AuditLog, database: Database
) -> None:
    event = AuditEvent(kind=AuditKind.ORDERED, outcome=AuditOutcome.MINOR_FAILURE, target="retry")
    with database.writing() as transaction:
        audit_action(database, transaction, 4711, event)
    (entry,) = audit_log.entries()
    assert (entry.event.job_id, entry.event.study_uid) == (4711, "")


def test_the_patient_of_a_study_is_the_one_that_was_received_with_it(
    audit_log: AuditLog, database: Database
) -> None:
    received = AuditEvent(kind=AuditKind.RECEIVED, study_uid="1.2.3", patient_id="P-17")
    audit_log.append([(database.clock(), received), (database.clock(), looked())])
    assert (audit_log.patient_of("1.2.3"), audit_log.patient_of("1.2.4")) == ("P-17", "")


def test_a_trail_writes_behind_its_callers_back_and_is_whole_when_closed(audit_log: AuditLog) -> None:
    with AuditWriter(audit_log, role="receive") as trail, trail.activity():
        for number in range(500):
            trail.record(looked(f"1.2.{number}"))
    kinds = [entry.event.kind for entry in audit_log.entries()]
    assert (kinds[0], kinds[-1], len(kinds)) == (AuditKind.STARTED, AuditKind.STOPPED, 502)
    assert {entry.event.role for entry in audit_log.entries()} == {"receive"}


def test_what_a_peer_says_of_itself_fits_into_the_table(audit_log: AuditLog) -> None:
    with AuditWriter(audit_log, role="receive") as trail:
        trail.record(AuditEvent(kind=AuditKind.REFUSED, actor="A\nB\0" * 100, detail="\x1b[2J"))
    (entry,) = audit_log.entries()
    assert entry.event.actor.isprintable()
    assert (len(entry.event.actor), entry.event.detail) == (128, "\\x1b[2J")


def test_events_wait_for_a_database_that_is_away(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/node.sqlite"
    upgrade(url)
    holder, database = Database(url), Database(url, busy_timeout_s=0.1)
    with (
        AuditWriter(AuditLog(database), role="receive") as trail,
        holder.writing(),
    ):  # SQLite has one writer at a time
        trail.record(looked())
        trail.record(looked())
        assert AuditLog(database).entries() == []
    assert len(AuditLog(database).entries()) == 2
    holder.close()
    database.close()

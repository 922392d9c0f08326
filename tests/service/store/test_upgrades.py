"""A database of each older version comes to this version's schema with all of its rows, in this version's words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Table, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError

from service.config import JobPurpose
from service.store import (
    ArtifactKind,
    ArtifactRole,
    Database,
    DeliveryKind,
    DeliveryState,
    EventKind,
    FailureReportQueue,
    Heartbeats,
    JobRepository,
    JobState,
    MetricCounters,
    NotificationQueue,
    SeriesRepository,
    read_queue_statistics,
    upgrade,
)
from service.store.database import make_engine
from service.store.migrations.migrate import MIGRATIONS
from service.store.tables.schema import METADATA, commitment, instance_source
from service.store.tables.structure_schema import structure_result

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB_STATES = {
    "received": JobState.RECEIVING,
    "waiting": JobState.WAITING,
    "queued": JobState.QUEUED,
    "running": JobState.RUNNING,
    "delivering": JobState.DELIVERING,
    "done": JobState.DONE,
    "refused": JobState.REFUSED,
    "failed": JobState.RETRYING,
    "parked": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
    "superseded": JobState.SUPERSEDED,
    "nothing_to_contour": JobState.NOTHING_TO_CONTOUR,  # since 0008
}
EVENT_KINDS = {
    "opened": EventKind.OPENED,
    "held": EventKind.WAITING,
    "sealed": EventKind.CLOSED,
    "claimed": EventKind.CLAIMED,
    "lease expired": EventKind.LEASE_EXPIRED,
    "stage": EventKind.STAGE,
    "postponed": EventKind.POSTPONED,
    "failed": EventKind.RETRYING,
    "parked": EventKind.FAILED,
    "refused": EventKind.REFUSED,
    "finished": EventKind.FINISHED,
    "sent": EventKind.SENT,
    "send failed": EventKind.SEND_FAILED,
    "send rejected": EventKind.SEND_REJECTED,
    "done": EventKind.DONE,
    "cancelled": EventKind.CANCELLED,
    "retried": EventKind.RETRIED,
    "superseded": EventKind.SUPERSEDED,
    "sent again": EventKind.SENT_AGAIN,
    "conflict": EventKind.CONFLICT,
    "note": EventKind.NOTE,  # these since 0004
    "unconfirmed": EventKind.UNCONFIRMED,
    "confirmed": EventKind.CONFIRMED,
    "fallback": EventKind.FALLBACK,
    "notice": EventKind.FAILURE_REPORT,
    "nothing to contour": EventKind.NOTHING_TO_CONTOUR,  # since 0008
}
DELIVERY_STATES = {
    "pending": DeliveryState.PENDING,
    "sending": DeliveryState.SENDING,
    "sent": DeliveryState.SENT,
    "rejected": DeliveryState.REJECTED,
    "parked": DeliveryState.FAILED,
    "withdrawn": DeliveryState.WITHDRAWN,
    "held": DeliveryState.STANDBY,  # these since 0004
    "unconfirmed": DeliveryState.UNCONFIRMED,
    "confirming": DeliveryState.CONFIRMING,
}
HAS_NO_CONTENT = ("received", "waiting", "refused", "nothing_to_contour")
REVISIONS = [file.name[:4] for file in sorted((MIGRATIONS / "versions").glob("0*.py"))]
WORDS_CHANGED_IN = "0009"


@pytest.mark.parametrize("revision", [one for one in REVISIONS if one < WORDS_CHANGED_IN])
def test_rows_of_every_state_and_kind_are_there_after_an_upgrade(
    empty_database_url: str, revision: str
) -> None:
    states, events, deliveries = _fill(empty_database_url, revision)

    upgrade(empty_database_url)

    database = Database(empty_database_url)
    book = JobRepository(database)
    jobs = {job.id: job for job in book.list_jobs()}
    assert {number: job.state for number, job in jobs.items()} == {
        number: JOB_STATES[state] for number, state in states.items()
    }
    assert {job.reason for job in jobs.values()} == {"a reason, parked and held"}
    for number, state in states.items():
        first, *others = book.events(number)
        assert (first.from_state, first.to_state, first.message) == (
            None,
            JOB_STATES[state],
            "as it was written: failed",
        )
        assert [event.kind for event in others] == [EVENT_KINDS[kind] for kind in events if number == 1]
        assert [event.from_state for event in others] == [JobState.RETRYING for _ in others]
    found = {delivery.destination: delivery for delivery in book.deliveries(1)}
    assert {name: one.state for name, one in found.items()} == {
        f"to-{state}": DELIVERY_STATES[state] for state in deliveries
    }
    assert {one.kind for one in found.values()} == {DeliveryKind.RESULT}
    _check_open_jobs(database, states)
    _check_constraints(database)
    database.close()


def _check_open_jobs(database: Database, states: Mapping[int, str]) -> None:
    """The partial indexes and the queries go by the new words."""
    opened = SeriesRepository(database).open_jobs()
    assert [job.id for job in opened] == [
        n for n, state in states.items() if state in ("received", "waiting")
    ]
    assert [image.sop_instance_uid for image in SeriesRepository(database).instances_of(1)] == ["9.1"]
    with database.writing() as connection, pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(
            text("UPDATE job SET state = 'receiving', series_uid = '1.2.1', called_aet = 'A' WHERE id = 2")
        )


def _check_constraints(database: Database) -> None:
    for table, column, old in (
        ("job", "state", "parked"),
        ("job", "state", "received"),
        ("job_event", "kind", "sealed"),
        ("job_event", "to_state", "parked"),
        ("delivery", "state", "held"),
        ("delivery", "kind", "notice"),
    ):
        with database.writing() as connection, pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(text(f"UPDATE {table} SET {column} = '{old}'"))  # noqa: S608 # words of this test
        with database.reading() as connection:
            names = {check["name"] for check in inspect(connection).get_check_constraints("job")}
        assert names >= {
            "job_state",
            "job_closed_has_content",
            "job_running_has_worker",
            "job_delivering_has_result",
        }
    with database.writing() as connection, pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(text("UPDATE job SET state = 'retrying', content_hash = NULL WHERE id = 3"))


def test_monitoring_failure_reports_and_confirmations_are_kept_in_the_new_words(
    empty_database_url: str,
) -> None:
    _fill(empty_database_url, "0008")
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        _insert_monitoring(connection)
        connection.execute(
            text("UPDATE job SET notice_due_at = :at, notice_decided = false WHERE state = 'parked'"),
            _at(connection),
        )
        connection.execute(
            text("UPDATE delivery SET kind = 'notice', standby_for = 'x, y', asked = 3 WHERE state = 'held'")
        )
        connection.execute(
            text("INSERT INTO commitment VALUES ('2.25.1', 1, '9.1', :at, NULL, NULL)"), _at(connection)
        )
        connection.execute(text("UPDATE arrival SET came_again_at = :at"), _at(connection))
    engine.dispose()

    upgrade(empty_database_url)

    database = Database(empty_database_url)
    counted = {(label, kind): count for label, kind, count in read_queue_statistics(database).events}
    assert counted == {
        ("hn", "retrying"): 5,
        ("hn", "failed"): 7,
        ("", "waiting"): 2,
        ("hn", "closed"): 3,
        ("hn", "failure report"): 1,
    }
    assert sorted(beat.role for beat in Heartbeats(database).all()) == ["monitor", "receive", "retention"]
    (told,) = NotificationQueue(database).due("physics", min_interval_s=0, limit=10)
    assert (told.event, told.state, told.text) == ("failed", "failed", "parked, it said")
    assert not MetricCounters(database).add_events()  # it goes on where it was, and counts nothing twice
    failure = FailureReportQueue(database).next_failure()
    assert failure is not None
    assert (failure.state, failure.failed_at) == (JobState.FAILED, AT)
    (report,) = [
        one for one in JobRepository(database).deliveries(1) if one.kind is DeliveryKind.FAILURE_REPORT
    ]
    assert (report.state, report.fallback_for, report.confirmation_requests) == (
        DeliveryState.STANDBY,
        "x, y",
        3,
    )
    with database.reading() as connection:
        for column in (commitment.c.requested_at, instance_source.c.resent_at):
            assert connection.execute(select(column)).scalar_one() == AT
    database.close()


def test_jobs_of_the_version_before_have_no_structures_and_can_be_given_some(empty_database_url: str) -> None:
    states = {1: "done", 2: "running", 3: "cancelled"}
    engine = make_engine(empty_database_url)
    with engine.connect() as connection:
        _migrate_to(connection, "0009")
    with engine.begin() as connection:
        for number, state in states.items():
            _insert_job(connection, number, state)
    engine.dispose()

    upgrade(empty_database_url)

    database = Database(empty_database_url)
    book = JobRepository(database)
    assert {job.id for job in book.list_jobs()} == set(states)
    assert [book.structures(number) for number in states] == [[] for _ in states]
    row = {
        "position": 1,
        "code": "A",
        "name": "A",
        "is_sent": True,
        "volume_cc": 1.5,
        "slices": 2,
        "pieces": 1,
    }
    row |= {"edges": "", "findings": []}
    with database.writing() as connection:
        connection.execute(insert(structure_result), {"job_id": 1, **row})
        with pytest.raises(IntegrityError), connection.begin_nested():
            connection.execute(insert(structure_result), {"job_id": 4711, **row})
    (found,) = book.structures(1)
    assert (found.code, found.volume_cc, found.mean_probability, found.trust) == ("A", 1.5, None, None)
    database.close()


@pytest.mark.parametrize("revision", [one for one in REVISIONS if one < "0014"])
def test_what_was_delivered_becomes_artifacts(empty_database_url: str, revision: str) -> None:
    report = "failure_report" if revision >= WORDS_CHANGED_IN else "notice"
    sent = [  # path, destination, kind, and when its file was removed
        ("made", "a", "result", AT),
        ("made", "b", "result", None),
        ("beside", "a", "result", AT),
        ("told", "a", report, None),
    ]
    engine = make_engine(empty_database_url)
    with engine.connect() as connection:
        _migrate_to(connection, revision)
    with engine.begin() as connection:
        for number in (1, 2):
            _insert_job(connection, number, "done")
        for number, (path, destination, kind, removed_at) in enumerate(sent):
            _insert_delivery(
                connection,
                number,
                "sent",
                destination=destination,
                path=path,
                kind=kind,
                removed_at=removed_at,
            )
    engine.dispose()

    upgrade(empty_database_url)

    database = Database(empty_database_url)
    book = JobRepository(database)
    found = {one.path: one for one in book.artifacts(1)}
    has_reports, has_removals = revision >= "0004", revision >= "0005"
    assert {path: (one.role, one.kind) for path, one in found.items()} == {
        "made": (ArtifactRole.RESULT, ArtifactKind.STRUCTURE_SET),
        "beside": (ArtifactRole.RESULT, ArtifactKind.UNKNOWN),
        "told": (
            ArtifactRole.FAILURE_REPORT if has_reports else ArtifactRole.RESULT,
            ArtifactKind.UNKNOWN,
        ),
    }
    assert {path: one.removed_at for path, one in found.items()} == {
        "made": None,
        "beside": AT if has_removals else None,
        "told": None,
    }
    assert {(one.created_at, one.size_bytes, one.sha256) for one in found.values()} == {(AT, 1, "x")}
    assert {one.destination: one.artifact_id for one in book.deliveries(1) if one.id < 3} == {
        "a": found["made"].id,
        "b": found["made"].id,
    }
    (alone,) = book.artifacts(2)  # its deliveries were never written
    assert (alone.path, alone.kind, alone.created_at) == ("made", ArtifactKind.STRUCTURE_SET, AT)
    result = book.result(1)
    assert result is not None
    assert result.path == "made"
    assert {job.purpose for job in book.list_jobs()} == {JobPurpose.CLINICAL}
    with database.writing() as connection, pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(text("UPDATE job SET purpose = 'shadow' WHERE id = 1"))
    with database.writing() as connection, pytest.raises(IntegrityError), connection.begin_nested():
        connection.execute(text("UPDATE job SET series_uid = '1.2.1', version = 1 WHERE id = 2"))
    database.close()


def _fill(url: str, revision: str) -> tuple[dict[int, str], list[str], list[str]]:
    """Make the schema of an earlier version, with a job in each of its states and each of its kinds of rows."""
    engine = make_engine(url)
    with engine.connect() as connection:
        _migrate_to(connection, revision)
    with engine.begin() as connection:
        states = [one for one in JOB_STATES if revision >= "0008" or one != "nothing_to_contour"]
        events = [
            one
            for number, one in enumerate(EVENT_KINDS)
            if number < 20 or (revision >= "0004" and one != "nothing to contour") or revision >= "0008"
        ]
        deliveries = list(DELIVERY_STATES)[: 9 if revision >= "0004" else 6]
        _insert_instance(connection)
        for number, state in enumerate(states, 1):
            _insert_job(connection, number, state)
        for kind in events:
            _insert(
                connection, "job_event", job_id=1, at=AT, kind=kind, from_state="failed", to_state="received"
            )
        for number, state in enumerate(deliveries):
            _insert_delivery(connection, number, state)
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER SEQUENCE job_id_seq RESTART WITH 20"))
    engine.dispose()
    return dict(enumerate(states, 1)), events, deliveries


def _migrate_to(connection: Connection, revision: str) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.commit()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    with connection.begin():
        command.upgrade(config, revision)


def _insert(connection: Connection, table: str, **values: object) -> None:
    """Insert into a table as it is now, with the values for which it has columns."""
    columns = {column["name"] for column in inspect(connection).get_columns(table)}
    known = {name: value for name, value in values.items() if name in columns}
    for name, value in known.items():
        if isinstance(value, datetime):
            known[name] = _at(connection)["at"]
    names = ", ".join(known)
    places = ", ".join(f":{name}" for name in known)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), known)  # noqa: S608


def _at(connection: Connection) -> dict[str, object]:
    return {"at": "2026-01-02 03:04:05.000000" if connection.dialect.name == "sqlite" else AT}


def _insert_instance(connection: Connection) -> None:
    _insert(
        connection,
        "instance",
        id=1,
        sop_instance_uid="9.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_uid="1.2.1",
        study_uid="1.2",
        modality="CT",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        peer_host="h",
        path="a/b",
        size_bytes=1,
        header_bytes=1,
        sha256="x",
        received_at=AT,
    )
    _insert(connection, "arrival", instance_id=1, called_aet="A", calling_aet="B", version=1)


def _insert_job(connection: Connection, number: int, state: str) -> None:
    uid = UUID(int=number)
    has_result = state in ("delivering", "done", "parked")
    _insert(
        connection,
        "job",
        id=number,
        uid=uid.hex if connection.dialect.name == "sqlite" else uid,
        version=1,
        state=state,
        reason="a reason, parked and held",
        series_uid=f"1.2.{number}",
        study_uid="1.2",
        called_aet="A",
        calling_aet="B",
        slice_count=1,
        content_hash=None if state in HAS_NO_CONTENT else f"hash {number}",
        rule="hn",
        lease_owner="work@host:1" if state == "running" else None,
        result_path="made" if has_result else None,
        result_size_bytes=1 if has_result else None,
        result_sha256="x" if has_result else None,
        received_at=AT,
        last_received_at=AT,
    )
    _insert(
        connection,
        "job_event",
        job_id=number,
        at=AT,
        kind="opened",
        to_state=state,
        message="as it was written: failed",
    )


def _insert_delivery(connection: Connection, number: int, state: str, **other: object) -> None:
    values = {
        "id": number + 1,
        "job_id": 1,
        "destination": f"to-{state}",
        "path": f"made {number}",
        "size_bytes": 1,
        "sha256": "x",
        "state": state,
        "created_at": AT,
    }
    _insert(connection, "delivery", **{**values, **other})


def _insert_monitoring(connection: Connection) -> None:
    for label, kind, count in (
        ("hn", "failed", 5),
        ("hn", "parked", 7),
        ("", "held", 2),
        ("hn", "sealed", 3),
        ("hn", "notice", 1),
    ):
        _insert(connection, "tally", family="job_events", label=label, detail=kind, bucket="", value=count)
    for role in ("keep", "receive", "watch"):
        _insert(connection, "role_heartbeat", role=role, host="h", pid=1, started_at=AT, at=AT)
    newest = connection.execute(text("SELECT max(id) FROM job_event")).scalar_one()
    for reader in ("tally events", "tally images", "notices"):
        _insert(connection, "watch_cursor", name=reader, last_id=newest)
    _insert(
        connection,
        "notice",
        target="physics",
        event="parked",
        job_id=9,
        rule="hn",
        state="parked",
        text="parked, it said",
        at=AT,
    )


def test_every_table_of_the_schema_is_filled_by_these_tests_or_is_newer() -> None:
    """A table that a migration renames or copies must be among those whose rows are looked at here."""
    looked_at = {"instance", "instance_source", "job", "job_event", "delivery", "commitment"}
    looked_at |= {"artifact", "metric_counter", "event_position", "notification", "role_heartbeat"}
    untouched = {"audit_event", "audit_forwarding", "alarm", "removal"}
    untouched |= {"node", "rule_set"}  # since 0015, 0018
    untouched |= {
        "structure_result",
        "series_fact",
        "web_user",
        "web_session",
        "web_invitation",
        "api_token",
        "api_answer",
    }
    untouched |= {"project", "pseudonym", "uid_pair", "original_study"}
    assert looked_at | untouched == {
        table.name for table in METADATA.sorted_tables if isinstance(table, Table)
    }

"""A series is known by its study and its UID: an archive that moves it to another study keeps the other UIDs."""

from datetime import timedelta

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from service.application import retry_job
from service.store import (
    CloseOutcome,
    Database,
    JobRepository,
    JobState,
    RecordOutcome,
    RetentionPolicy,
    RetentionStore,
    upgrade,
)
from service.store.database import make_engine
from service.store.intake.instance_writer import InstanceWriter
from service.store.migrations.migrate import MIGRATIONS
from tests.support.actors import OPERATOR
from tests.support.arrivals import SERIES, STUDY, Node, received

OTHER = "1.2.4"


def test_the_same_images_of_a_second_study_make_a_job_of_their_own(node: Node) -> None:
    node.receive(received(1), received(2))
    first = node.only_open()
    outcomes = node.receive(
        received(1, study=OTHER, content="other study"), received(2, study=OTHER, content="other study")
    )
    assert outcomes == [RecordOutcome.NEW, RecordOutcome.NEW]
    one, other = node.series.open_jobs()
    assert (one.id, one.slice_count, one.study_uid) == (first.id, 2, STUDY)
    assert (other.version, other.slice_count, other.study_uid) == (1, 2, OTHER)
    assert [event.message for event in node.book.events(other.id)] == [
        f"another study has a series with this Series Instance UID too: job {one.id}"
    ]
    for job in (one, other):
        assert {image.study_uid for image in node.series.instances_of(job.id)} == {job.study_uid}
        assert node.close_series(job) is CloseOutcome.QUEUED


def test_an_image_that_changes_within_its_study_is_still_a_conflict(node: Node) -> None:
    node.receive(received(1), received(1, study=OTHER, content="other study"))
    assert node.receive(received(1, content="changed")) == [RecordOutcome.CONFLICT]
    assert node.receive(received(1, study=OTHER, content="changed")) == [RecordOutcome.CONFLICT]
    assert node.receive(received(1, study=OTHER, content="other study")) == [RecordOutcome.DUPLICATE]


def test_two_studies_in_one_batch_are_told_apart(node: Node) -> None:
    with node.database.writing() as connection:
        scribe = InstanceWriter(node.database)
        cursor = connection.connection.cursor()
        batch = [received(1), received(1, study=OTHER, content="b"), received(1)]
        recorded = scribe.record(connection, cursor, batch)
    assert recorded.outcomes == [RecordOutcome.NEW, RecordOutcome.NEW, RecordOutcome.DUPLICATE]
    assert [job.slice_count for job in node.series.open_jobs()] == [1, 1]


def test_a_late_slice_of_one_study_leaves_the_job_of_the_other_alone(node: Node) -> None:
    node.receive(received(1), received(2), received(1, study=OTHER, content="b"))
    first, second = node.series.open_jobs()
    assert node.close_series(first) is CloseOutcome.QUEUED
    node.receive(received(2, study=OTHER, content="b"))
    assert node.book.job(first.id).state is JobState.QUEUED
    assert node.only_open().id == second.id


def test_retention_removes_the_images_of_one_study_alone(node: Node) -> None:
    node.receive(received(1), received(1, study=OTHER, content="b"))
    first, _ = node.series.open_jobs()
    node.series.nothing_to_contour(first, "nothing to contour: 1 slice")
    node.clock.tick(86_400)
    policy = RetentionPolicy(
        done_images=None, ended_images=timedelta(hours=1), other_objects=None, results=None
    )
    keeper = RetentionStore(node.database)
    (expired,) = keeper.mark(policy, keeper.expired(policy))
    assert (expired.belongs_to, expired.study_uid) == (f"series {SERIES}", STUDY)
    assert node.receive(received(1)) == [
        RecordOutcome.NEW
    ]  # sent again, it begins a version of its own study's job
    assert {job.study_uid for job in node.series.open_jobs()} == {STUDY, OTHER}


def test_a_database_of_the_time_before_keeps_its_rows_and_parts_the_studies(empty_database_url: str) -> None:
    _upgrade_to(empty_database_url, "0007")
    database = Database(empty_database_url)
    with database.writing() as connection:
        for number, study in ((1, STUDY), (2, STUDY), (3, OTHER)):
            connection.execute(text(INSTANCE), {"id": number, "uid": f"9.{number}", "study": study})
        connection.execute(text(JOB), {"study": STUDY})
        for number, version in ((1, 1), (2, 1), (3, 2)):
            connection.execute(text(ARRIVAL), {"id": number, "version": version})
        connection.execute(text(EVENT))
    database.close()

    upgrade(empty_database_url)

    node_database = Database(empty_database_url)
    book = JobRepository(node_database)
    own, old = book.list_jobs()
    assert (old.id, old.version, old.state, old.slice_count, old.study_uid) == (
        7,
        2,
        JobState.REFUSED,
        2,
        STUDY,
    )
    assert [event.message for event in book.events(7)] == ["kept"]
    assert (own.id, own.version, own.state, own.slice_count) == (8, 2, JobState.REFUSED, 1)
    assert own.study_uid == OTHER
    assert "`retry` contours them" in own.reason
    assert [image.sop_instance_uid for image in book.instances_of(own.id)] == ["9.3"]
    assert retry_job(node_database, OPERATOR, own.id) is JobState.RECEIVING
    node_database.close()


INSTANCE = """
INSERT INTO instance (id, sop_instance_uid, sop_class_uid, series_uid, study_uid, modality, transfer_syntax_uid,
    peer_host, path, size_bytes, header_bytes, sha256, received_at)
VALUES (:id, :uid, '1.2.840.10008.5.1.4.1.1.2', '9', :study, 'CT', '1.2.840.10008.1.2.1', 'h', :uid, 1, 1, 'x',
    '2026-01-02 03:04:05.000000')
"""
JOB = """
INSERT INTO job (id, uid, version, state, series_uid, study_uid, called_aet, calling_aet, slice_count, received_at,
    last_received_at)
VALUES (7, '00000000000000000000000000000007', 2, 'refused', '9', :study, 'A', 'B', 3, '2026-01-02 03:04:05.000000',
    '2026-01-02 03:04:05.000000')
"""
ARRIVAL = (
    "INSERT INTO arrival (instance_id, called_aet, calling_aet, version) VALUES (:id, 'A', 'B', :version)"
)
EVENT = """
INSERT INTO job_event (job_id, at, kind, to_state, message)
VALUES (7, '2026-01-02 03:04:05.000000', 'refused', 'refused', 'kept')
"""


def _upgrade_to(url: str, revision: str) -> None:
    """The schema as an earlier version of the program made it."""
    engine = make_engine(url)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF" if url.startswith("sqlite") else "SELECT 1")
        connection.commit()
        with connection.begin():
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            if not url.startswith("sqlite"):
                connection.execute(text("ALTER SEQUENCE job_id_seq RESTART WITH 8"))
    engine.dispose()

"""Studies of what is kept, newest first and page by page, and single objects by one look into an index."""

from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import insert, update

from service.application import search_studies
from service.store import AuditLog, Database
from service.store.jobs.kept_objects import StudyQuery, find_studies, read_series, read_study
from service.store.tables.schema import instance
from tests.support.actors import ADMINISTRATOR

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def came(database: Database, *studies: str) -> None:
    """Two images of each study, one series each."""
    with database.writing() as connection:
        for study in studies:
            for number in (1, 2):
                uid = f"{study}.{number}.1"
                connection.execute(
                    insert(instance).values(
                        sop_instance_uid=uid,
                        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                        series_uid=f"{study}.{number}",
                        study_uid=study,
                        modality="CT",
                        transfer_syntax_uid="1.2.840.10008.1.2.1",
                        peer_host="192.0.2.1",
                        path=f"objects/{uid}",
                        size_bytes=1,
                        header_bytes=1,
                        sha256=uid,
                        received_at=NOW,
                    )
                )


def found(database: Database, **wanted: object) -> list[str]:
    with database.reading() as connection:
        return find_studies(connection, StudyQuery(**wanted))  # type: ignore[arg-type]


def test_studies_are_given_newest_first_page_by_page_without_those_that_are_gone(database: Database) -> None:
    assert found(database) == []
    came(database, "1.5", "1.2", "1.9", "1.3")
    with database.writing() as connection:
        gone = update(instance).values(removed_at=NOW)
        connection.execute(gone.where(instance.c.study_uid == "1.9"))
        connection.execute(gone.where(instance.c.sop_instance_uid == "1.3.2.1"))
    assert found(database) == ["1.3", "1.2", "1.5"]
    assert found(database, limit=1, offset=1) == ["1.2"]
    assert found(database, study_uids=("1.5", "1.9", "1.2")) == ["1.2", "1.5"]
    assert found(database, modalities=("CT",)) == ["1.3", "1.2", "1.5"]
    assert found(database, modalities=("MR", "RTSTRUCT")) == []
    with database.reading() as connection:
        assert [(one.first.series_uid, one.instance_count) for one in read_series(connection, "1.3")] == [
            ("1.3.1", 1)
        ]
        one = read_study(connection, "1.2", sop_instance_uid="1.2.2.1")
        assert [kept.series_uid for kept in one.objects] == ["1.2.2"]
        assert read_study(connection, "1.3", sop_instance_uid="1.3.2.1").removed == 1
        assert len(read_study(connection, "1.2", series_uid="1.2.1").objects) == 1


def test_a_search_is_one_entry_of_the_trail_that_each_listed_study_finds(database: Database) -> None:
    came(database, "1.2", "1.22", "1.3")
    search_studies(database, replace(ADMINISTRATOR, sees_patients=True), StudyQuery(limit=2))
    log = AuditLog(database)
    (entry,) = log.entries()
    assert entry.event.detail.startswith("listed 2 studies; study 1.3; study 1.22")
    assert log.entries(study_uid="1.22") == log.entries(study_uid="1.3") == [entry]
    assert log.entries(study_uid="1.2") == log.entries(study_uid="%") == []

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from service.errors import Refused
from service.store import (
    Database,
    DatabaseUnavailable,
    DeliveryKind,
    DeliveryState,
    EventKind,
    JobState,
    check_schema,
    upgrade,
)
from service.store.migrations.migrate import MIGRATIONS, newest
from service.store.states import RuleSetState
from service.store.tables.schema import METADATA


def test_an_empty_database_says_that_it_has_no_tables_until_it_is_upgraded(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with pytest.raises(DatabaseUnavailable, match="no tables"):
        database.check()
    upgrade(empty_database_url)
    database.check()
    upgrade(empty_database_url)
    database.check()
    database.close()


def test_several_that_upgrade_at_once_do_it_once(empty_database_url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        for task in [threads.submit(upgrade, empty_database_url) for _ in range(8)]:
            task.result()
    database = Database(empty_database_url)
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1
    database.close()


def test_the_migrations_make_the_tables_that_the_queries_use(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert inspect(connection).get_view_names() == ["job_status"]


def test_the_newest_version_is_where_the_chain_of_migrations_ends() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [newest()]


def test_a_database_of_a_newer_version_is_refused(database_url: str) -> None:
    database = Database(database_url)
    with database.reading() as connection:
        head = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    try:
        _set_revision(database, "9999")
        for look in (upgrade, check_schema):
            with pytest.raises(Refused, match=r"schema 9999.*a newer version made it"):
                look(database_url)
    finally:
        _set_revision(database, head)
        database.close()


def _set_revision(database: Database, revision: str) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_the_migrations_allow_every_state_and_kind_that_the_program_writes(database: Database) -> None:
    allowed: dict[str, str] = {}
    with database.reading() as connection:
        for table in ("job", "job_event", "delivery", "rule_set"):
            for check in inspect(connection).get_check_constraints(table):
                allowed[str(check["name"])] = check["sqltext"]
    for name, members in (
        ("job_state", JobState),
        ("event_from_state", JobState),
        ("event_to_state", JobState),
        ("event_kind", EventKind),
        ("delivery_state", DeliveryState),
        ("delivery_kind", DeliveryKind),
        ("rule_set_state", RuleSetState),
    ):
        assert [one.value for one in members if f"'{one.value}'" not in allowed[name]] == []

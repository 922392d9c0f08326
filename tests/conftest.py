"""Parts that tests of several rooms stand on: a real SQLite file, a real Postgres server, a storage folder."""

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from service.store import Database, FileStore, InstanceRecorder, upgrade
from service.store.tables.schema import METADATA
from tests.support.clock import ManualClock
from tests.support.small_node import SmallNode

pytest_plugins = ["tests.plugin_leftovers", "tests.plugin_peers"]
NUMBERS = count(1)
_TRUNCATED_ABOVE_BYTES = 8 * 2**20
DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.database)]


_LONG_FIRST = ("reliability", "node", "training", "deploy", "inference")  # whole files go to one process each


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, so that at the end no process waits for another's long one."""
    tests = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
        return _LONG_FIRST.index(room) if room in _LONG_FIRST else len(_LONG_FIRST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The folder of the socket of a real Postgres server, from the pgserver wheel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's own: no XDG_RUNTIME_DIR in a container
        import pgserver

        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        try:
            server = pgserver.get_server(folder)
        except subprocess.TimeoutExpired:  # pg_ctl waits ten seconds; a busy machine needs more
            server = pgserver.get_server(folder)
        _without_syncs(str(folder))
        yield str(folder)
        server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "template.sqlite"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a migrated database that every test leaves empty: cheaper than a new one each."""
    _create_database(postgres_server, "migrated")
    upgrade(_postgres_url(postgres_server, "migrated"))
    return "migrated"


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table; every test that asks for it runs on SQLite and on Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite'}"
    folder = request.getfixturevalue("postgres_server")
    name = f"empty_{next(NUMBERS)}"
    _create_database(folder, name)
    return _postgres_url(folder, name)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database; every test that asks for it runs on SQLite and on Postgres."""
    if request.param == "sqlite":
        file = tmp_path / "node.sqlite"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        yield f"sqlite:///{file}"
        return
    yield _postgres_url(
        request.getfixturevalue("postgres_server"), request.getfixturevalue("migrated_postgres")
    )
    _empty(request.getfixturevalue("postgres_server"), request.getfixturevalue("migrated_postgres"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database on the machine's clock."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def file_store(tmp_path: Path) -> FileStore:
    """An empty storage folder."""
    return FileStore(tmp_path / "storage")


def _without_syncs(folder: str) -> None:
    """Let the server leave syncs to the system: no test cuts its power, and each commit would wait for one."""
    with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")


def _create_database(folder: str, name: str) -> None:
    with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())


def _empty(folder: str, name: str) -> None:
    """Delete every row and begin every sequence anew; a database that has grown is truncated, which costs a second."""
    tables = list(METADATA.tables)
    with psycopg.connect(host=folder, user="postgres", dbname=name, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        grown = connection.execute(
            "SELECT sum(pg_relation_size(oid)) > %s FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
            (_TRUNCATED_ABOVE_BYTES,),
        ).fetchone()
        if grown == (True,):
            emptied = f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE"
        else:
            emptied = "; ".join(
                [
                    "SET LOCAL session_replication_role = replica",  # foreign keys need no order
                    *(f"DELETE FROM {table}" for table in tables),  # noqa: S608  (names of our own)
                    "SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false)"
                    " FROM pg_sequences WHERE last_value IS NOT NULL",
                ]
            )
        with connection.transaction():
            for trigger in ("audit_event_is_kept", "audit_event_stays"):
                connection.execute(f"ALTER TABLE audit_event DISABLE TRIGGER {trigger}".encode())
            connection.execute(emptied.encode())
            for trigger in ("audit_event_is_kept", "audit_event_stays"):
                connection.execute(f"ALTER TABLE audit_event ENABLE ALWAYS TRIGGER {trigger}".encode())


def _postgres_url(folder: str, name: str) -> str:
    return f"postgresql+psycopg://postgres@/{name}?host={folder}"


@pytest.fixture
def small_node(database_url: str, tmp_path: Path) -> Iterator[SmallNode]:
    """A node without processes: a store on a clock that stands still."""
    clock = ManualClock()
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    with InstanceRecorder(database) as recorder:
        yield SmallNode(
            database=database, files=FileStore(tmp_path / "store"), clock=clock, recorder=recorder
        )
    database.close()

"""Brings a database to this program's schema."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from service.errors import Refused
from service.store.database import make_engine, translated
from service.store.files.part_files import translated as disk_translated

MIGRATIONS = Path(__file__).parent
LOCK = 7261936  # any number; the same in every process of this node, and in nothing else


def upgrade(url: str) -> None:
    """Create or migrate the schema; several processes may call it at once, one does it and the others wait.

    Raises:
        DatabaseUnavailable: it does not answer.
        StorageUnavailable: the folder of a SQLite file cannot be made.
        Refused: the database was made by a newer version of this program.
    """
    engine = make_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _without_foreign_keys)
    try:
        with _one_at_a_time(url), translated(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            if _version(connection) != newest():
                _migrate(connection)
                _check_foreign_keys(connection)
    finally:
        engine.dispose()


def newest() -> str:
    """Return the version of this program's schema: the number of the last migration."""
    return max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def _version(connection: Connection) -> str | None:
    """Return the version of the database; None where it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _migrate(connection: Connection) -> None:
    from service.store.migrations.schema_history import migrate  # with alembic, that most starts do without

    migrate(connection, MIGRATIONS)


def _without_foreign_keys(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    """SQLite changes a table by copying and dropping it, which its keys would forbid (sqlite.org/lang_altertable)."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


def _check_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).first()
        if broken is not None:
            raise Refused(
                f"the database cannot be brought to this version's schema: row {broken[1]} of {broken[0]}"
            )


@contextmanager
def _one_at_a_time(url: str) -> Iterator[None]:
    """Make the folder of a SQLite file and lock it out for others: a new file's switch to WAL waits for nobody."""
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite" or parts.database is None:
        yield
        return
    file = Path(parts.database).absolute()
    with disk_translated(f"the database {file} cannot be made"):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_name(f"{file.name}.lock").open("a")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

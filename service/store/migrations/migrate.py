"""Brings a database to this program's schema."""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from service.errors import Refused
from service.store.database import make_engine, translated
from service.store.files.part_files import translated as disk_translated
from service.store.files.sqlite_copy import copy_sqlite

log = logging.getLogger(__name__)
MIGRATIONS = Path(__file__).parent
MAKE = "`contour-node serve`, or `migrate`, makes one"
LOCK = 7261936  # any number; the same in every process of this node, and in nothing else


def upgrade(url: str) -> None:
    """Create or migrate the schema; several processes may call it at once, one does it and the others wait.

    A copy of a SQLite file is kept as it was before the migration: <file>.schema-<version>.

    Raises:
        DatabaseUnavailable: it does not answer.
        StorageUnavailable: the folder of a SQLite file cannot be created.
        Refused: the database was made by a newer version of this program, or a restore of it was interrupted.
    """
    _refuse_half_restored(url)
    engine = make_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _without_foreign_keys)
    try:
        with _one_at_a_time(url), translated(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            found = _version(connection)
            if found is not None:
                _refuse_newer(found)
            if found != newest():
                if found is not None:
                    _keep_copy(url, found)
                _migrate(connection)
                _check_foreign_keys(connection)
    finally:
        engine.dispose()


def restored_part(file: Path) -> Path:
    """Return the file that a restore writes before it is moved to where the SQLite file belongs."""
    return file.with_name(f"{file.name}.restored")


def _refuse_half_restored(url: str) -> None:
    """Raise Refused if a new database would be created next to what an interrupted restore left."""
    file = _sqlite_file(url)
    if file is not None and not file.exists() and restored_part(file).exists():
        raise Refused(
            f"a restore of {file} was interrupted: run `contour-node restore` again, or remove {restored_part(file)}"
        )


def check_schema(url: str) -> None:
    """Return if the database is there with this program's schema; change nothing.

    Raises:
        DatabaseUnavailable: it does not answer.
        Refused: there is no database, or it has the schema of another version; the message says what to do.
    """
    file = _sqlite_file(url)
    if file is not None and not file.exists():
        raise Refused(f"there is no database at {file}: is node.storage_dir right? {MAKE}")
    found = _schema_of(url)
    if found is None:
        raise Refused(f"the database has no tables of this node yet. {MAKE}")
    if found < newest():
        raise Refused(
            f"the database has schema {found}, this program needs {newest()}: back it up, then `contour-node migrate`"
        )
    _refuse_newer(found)


def has_schema(url: str) -> bool:
    """Tell whether there is a database with tables of a node, of whatever version.

    Raises:
        DatabaseUnavailable: it does not answer.
    """
    file = _sqlite_file(url)
    return (file is None or file.exists()) and _schema_of(url) is not None


def newest() -> str:
    """Return the version of this program's schema: the number of the last migration."""
    return max(file.name[:4] for file in (MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def _schema_of(url: str) -> str | None:
    engine = make_engine(url)
    try:
        with translated(), engine.connect() as connection:
            return _version(connection)
    finally:
        engine.dispose()


def _version(connection: Connection) -> str | None:
    """Return the version of the database; None if it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _refuse_newer(found: str) -> None:
    if found > newest():
        raise Refused(
            f"the database has schema {found}, and this program knows schemas up to {newest()}: a newer version made it; "
            "install that version, or restore the backup that was made before the upgrade"
        )


def _keep_copy(url: str, version: str) -> None:
    """Copy a SQLite database before it is migrated; a copy of this name from an earlier attempt is replaced."""
    file = _sqlite_file(url)
    if file is None:
        return
    copy = file.with_name(f"{file.name}.schema-{version}")
    part = file.with_name(f"{copy.name}.part")
    part.unlink(missing_ok=True)
    copy_sqlite(file, part)
    part.chmod(0o600)
    part.replace(copy)
    log.warning("the database as it was before the upgrade is kept as %s", copy)


def _sqlite_file(url: str) -> Path | None:
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite" or parts.database is None:
        return None
    return Path(parts.database).absolute()


def _migrate(connection: Connection) -> None:
    from service.store.migrations.schema_history import (
        migrate,  # imports alembic, which most starts do not need
    )

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
    """Create the folder of a SQLite file and keep others out: switching a new file to WAL does not wait for a lock."""
    file = _sqlite_file(url)
    if file is None:
        yield
        return
    with disk_translated(f"the database {file} cannot be created"):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_name(f"{file.name}.lock").open("a")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

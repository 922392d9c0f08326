"""The connection to SQLite or Postgres; one code path for both."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, NullPool
from sqlalchemy.schema import Table

from service.store.errors import DatabaseDamaged, DatabaseUnavailable
from service.store.tables.schema import job

Clock = Callable[[], datetime]
Transaction = Connection
"""An open transaction, for the functions of the store that take part in it."""

# Result codes of conditions that pass or that an administrator can remedy; every other one is a bug.
SQLITE_TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
SQLITE_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# Classes of SQLSTATE: connection, rollback (deadlock), resources, operator intervention, system; read-only.
POSTGRES_TRANSIENT = ("08", "40", "53", "57", "58", "25006")


def utc_now() -> datetime:
    """Return the machine's time, aware and in UTC."""
    return datetime.now(UTC)


class Database:
    """An engine and the clocks; built once per process, after `upgrade`."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        busy_timeout_s: float = 30,
        connect_timeout_s: int = 10,
        pool_size: int = 5,
    ) -> None:
        self.clock = clock
        self.monotonic = monotonic  # in seconds: for waits that setting the clock must not change
        self._url = url
        self._busy_timeout_s = busy_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._engine = make_engine(
            url, busy_timeout_s=busy_timeout_s, connect_timeout_s=connect_timeout_s, pool_size=pool_size
        )
        self._insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection for reading only; on SQLite it does not wait for a writer."""
        with translated(), self._engine.connect() as connection:
            yield connection.execution_options(read_only_transaction=True)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a connection whose statements are committed together when the block ends without an error."""
        with translated(), self._engine.begin() as connection:
            yield connection

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """Return an INSERT in this database's dialect, for ON CONFLICT."""
        return self._insert(table)

    def single_engine(self) -> Engine:
        """Return an engine without a pool; on SQLite the caller begins each transaction."""
        if self._url.startswith("sqlite"):
            engine = create_engine(
                self._url, poolclass=NullPool, connect_args={"timeout": self._busy_timeout_s}
            )
            event.listen(engine, "connect", _prepare_sqlite)
            return engine
        return create_engine(
            self._url, poolclass=NullPool, connect_args={"connect_timeout": self._connect_timeout_s}
        )

    @property
    def dialect(self) -> Dialect:
        """The SQL dialect of this database."""
        return self._engine.dialect

    def check(self) -> None:
        """Return if the database answers and has the node's tables; raise DatabaseUnavailable otherwise."""
        with self.reading() as connection:
            if not inspect(connection).has_table(job.name):
                raise DatabaseUnavailable(
                    "the database has no tables of this node yet: `contour-node serve`, or `migrate`, makes them"
                )

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def make_engine(
    url: str, *, busy_timeout_s: float = 30, connect_timeout_s: int = 10, pool_size: int = 5
) -> Engine:
    """Return an engine whose commits are durable and whose write transactions on SQLite take their lock at once."""
    if not url.startswith("sqlite"):
        return create_engine(
            url, pool_size=pool_size, pool_pre_ping=True, connect_args={"connect_timeout": connect_timeout_s}
        )
    engine = create_engine(url, pool_size=pool_size, connect_args={"timeout": busy_timeout_s})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver must not begin transactions implicitly
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode")
    if cursor.fetchone() != ("wal",):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # with WAL, the default may lose commits in a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("read_only_transaction", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of a missing, locked, full or damaged database into DatabaseUnavailable; let bugs through."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("every connection to the database is in use") from error
    except DBAPIError as error:
        if _sqlite_code(error.orig) in SQLITE_DAMAGED:
            raise DatabaseDamaged(
                f"the node's database file is damaged ({_first_line(error.orig)}). Stop the node, move the file away together with "
                "its -wal and -shm files, and restore the last backup: docs/operations.md, disaster. The images in "
                "node.storage_dir are not affected"
            ) from error
        if not _passes(error):
            raise
        raise DatabaseUnavailable(f"the database does not answer: {_first_line(error.orig)}") from error


def _passes(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        return _sqlite_code(cause) in SQLITE_TRANSIENT
    if cause.sqlstate is None:  # raised by psycopg itself: a lost connection, or a value that no row can hold
        return isinstance(error, OperationalError)
    return str(cause.sqlstate).startswith(POSTGRES_TRANSIENT)


def _sqlite_code(cause: object) -> int | None:
    """Return SQLite's result code without its extension; None for another database's error."""
    if not isinstance(cause, sqlite3.Error):
        return None
    return int(vars(cause).get("sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _first_line(error: BaseException | None) -> str:
    return str(error).partition("\n")[0]

"""The recorder's own connection: its commits survive the end of any process at once, a power cut only after settle().

Waiting for the disk again for each row would be waiting twice: the file of a received instance is durable before its
row is written, and contains all that the row does (service/receive/recovery.py can write the row again).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from service.store.database import Database, translated
from service.store.errors import DatabaseUnavailable
from service.store.intake.prepared import driver_errors

LONGEST_LOG_PAGES = 10_000  # of 4 KiB
Result = TypeVar("Result")


class AsyncCommitConnection:
    """One connection, opened when it is needed and closed after any error; for one thread."""

    def __init__(self, database: Database, *, sync: Callable[[int], None] = os.fsync) -> None:
        """``sync`` writes an open file to the disk."""
        self._engine = _engine(database)
        self._sync = sync
        self._is_sqlite = _is_sqlite(self._engine)
        self._connection: Connection | None = None
        self._cursor: DBAPICursor

    def write(self, work: Callable[[Connection, DBAPICursor], Result]) -> Result:
        """Call `work` in a transaction, with a connection and a cursor of its driver; commit when it returns.

        Raises:
            DatabaseUnavailable: nothing since the last settle() is known to be kept, this transaction included.
            DBAPIError: the database refuses the transaction; nothing of it is kept.
        """
        try:
            return self._written(work)
        except BaseException:
            self.close()
            with translated(), driver_errors(self._engine.dialect):
                raise

    def settle(self) -> None:
        """Return once every commit so far would survive a power cut.

        Raises:
            DatabaseUnavailable: it is not known which of them are kept.
        """
        if self._is_sqlite:
            try:
                self._sync_log()
            except OSError as error:
                self.close()
                raise DatabaseUnavailable(f"the database cannot be made durable: {error.strerror}") from error
            return
        self.write(_commit_durably)  # one durable commit makes all earlier ones durable

    def tidy(self) -> None:
        """Move SQLite's log into the database file without blocking writers; on Postgres there is nothing to do.

        Raises:
            DatabaseUnavailable: try again another time.
        """
        if self._is_sqlite:
            with translated(), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the connection; what was not committed is rolled back."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):  # it may be gone already
            if not connection.invalidated:
                connection.connection.rollback()
            connection.invalidate()
            connection.close()

    def _written(self, work: Callable[[Connection, DBAPICursor], Result]) -> Result:
        if self._connection is None:
            self._connection = self._engine.connect()
            self._cursor = self._connection.connection.cursor()
        connection, cursor = self._connection, self._cursor
        if self._is_sqlite:
            cursor.execute("BEGIN IMMEDIATE")
        result = work(connection, cursor)
        (connection if connection.in_transaction() else connection.connection).commit()
        return result

    def _sync_log(self) -> None:
        try:
            descriptor = os.open(f"{self._engine.url.database}-wal", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # whoever removed it has synced its contents
            return
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)


def _commit_durably(connection: Connection, _: DBAPICursor) -> None:
    connection.execute(text("SET LOCAL synchronous_commit = on"))
    connection.execute(text("SELECT pg_logical_emit_message(true, 'contour-node', 'settled')"))


def _engine(database: Database) -> Engine:
    engine = database.single_engine()
    event.listen(engine, "connect", _without_sync if _is_sqlite(engine) else _without_waiting)
    return engine


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _without_sync(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # The log is synced before a checkpoint, not at every commit; and a commit makes a checkpoint (two syncs, for which
    # every sender would wait) only if tidy() has not kept up.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_LOG_PAGES}")
    cursor.close()


def _without_waiting(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = off")
    cursor.close()
    connection.commit()

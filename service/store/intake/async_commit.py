"""The recorder's own connection: its commits outlast every process at once, and a power cut from settle() on.

Waiting for the disk once more for each row would be waiting twice: the file of a received instance is durable before
its row is written, and holds all that the row holds (service/receive/recovery.py makes it again).
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
    """One connection, opened when it is needed and given up after any error; for one thread."""

    def __init__(self, database: Database, *, sync: Callable[[int], None] = os.fsync) -> None:
        """``sync`` brings an open file to the disk."""
        self._engine = _engine(database)
        self._sync = sync
        self._is_sqlite = _is_sqlite(self._engine)
        self._connection: Connection | None = None
        self._cursor: DBAPICursor

    def write(self, work: Callable[[Connection, DBAPICursor], Result]) -> Result:
        """Do something in a transaction, with a connection and a cursor of its driver; committed when it returns.

        Raises:
            DatabaseUnavailable: nothing is known to be kept, this time and since the last settle().
            DBAPIError: the database refuses it; nothing of it is kept.
        """
        try:
            return self._written(work)
        except BaseException:
            self.close()
            with translated(), driver_errors(self._engine.dialect):
                raise

    def settle(self) -> None:
        """Return once every commit so far outlasts a power cut.

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
        self.write(_commit_durably)  # one takes all earlier ones with it

    def tidy(self) -> None:
        """Bring what stands in SQLite's log into its file, beside those who write; on Postgres there is nothing to do.

        Raises:
            DatabaseUnavailable: it has to wait for another time.
        """
        if self._is_sqlite:
            with translated(), self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Give the connection up; what was not committed is undone."""
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
        except FileNotFoundError:  # whoever removed it has synced what stood in it
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
    # The log is synced before a checkpoint, not at every commit; and a commit makes a checkpoint only where tidy() has
    # not kept up: two syncs, for which every sender would wait.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_LOG_PAGES}")
    cursor.close()


def _without_waiting(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = off")
    cursor.close()
    connection.commit()

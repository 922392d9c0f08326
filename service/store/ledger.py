"""The recorder's own connection: its commits outlast every process at once, and a power cut from settle() on.

Waiting for the disk once more for each row would be waiting twice: the file of a received instance is durable before
its row is written, and holds all that the row holds (service/receive/recovery.py makes it again).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from service.store.database import Database, translated
from service.store.errors import DatabaseUnavailable
from service.store.prepared import driver_errors


class Ledger:
    """One connection, opened when it is needed and given up after any error; for one thread."""

    def __init__(self, database: Database, *, sync: Callable[[int], None] = os.fsync) -> None:
        """``sync`` brings an open file to the disk."""
        self._engine = _engine(database)
        self._sync = sync
        self._connection: Connection | None = None

    @contextmanager
    def writing(self) -> Iterator[tuple[Connection, DBAPICursor]]:
        """Give a connection in a transaction, and a cursor of its driver in the same one; committed at the end.

        Raises:
            DatabaseUnavailable: nothing is known to be kept, this time and since the last settle().
        """
        try:
            with translated():
                connection = self._opened()
                with driver_errors(connection):
                    driver = connection.connection
                    cursor = driver.cursor()
                    if _is_sqlite(self._engine):
                        cursor.execute("BEGIN IMMEDIATE")
                    yield connection, cursor
                    cursor.close()
                    connection.commit() if connection.in_transaction() else driver.commit()
        except BaseException:
            self.close()
            raise

    def settle(self) -> None:
        """Return once every commit so far outlasts a power cut.

        Raises:
            DatabaseUnavailable: it is not known which of them are kept.
        """
        if _is_sqlite(self._engine):
            try:
                self._sync_log()
            except OSError as error:
                self.close()
                raise DatabaseUnavailable(f"the database cannot be made durable: {error.strerror}") from error
            return
        with self.writing() as (connection, _):  # one durable commit takes all earlier ones with it
            connection.execute(text("SET LOCAL synchronous_commit = on"))
            connection.execute(text("SELECT pg_logical_emit_message(true, 'contour-node', 'settled')"))

    def close(self) -> None:
        """Give the connection up; what was not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(DBAPIError, self._engine.dialect.loaded_dbapi.Error):  # it may be gone already
            connection.connection.rollback()
        connection.invalidate()
        connection.close()

    def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _sync_log(self) -> None:
        try:
            descriptor = os.open(f"{self._engine.url.database}-wal", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # whoever removed it has synced what stood in it
            return
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)


def _engine(database: Database) -> Engine:
    engine = database.single_engine()
    event.listen(engine, "connect", _without_sync if _is_sqlite(engine) else _without_waiting)
    return engine


def _is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _without_sync(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "PRAGMA synchronous = NORMAL"
    )  # the log is synced before a checkpoint, not at every commit
    cursor.close()


def _without_waiting(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = off")
    cursor.close()
    connection.commit()

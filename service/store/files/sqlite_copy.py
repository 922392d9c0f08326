"""A complete copy of a SQLite database while others write to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from service.errors import Refused
from service.store.errors import StorageUnavailable

BUSY_TIMEOUT_MS = 30_000


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database, its log included, into one file.

    Raises:
        Refused: the source is not a database, or is damaged.
        StorageUnavailable: the target cannot be written.
    """
    try:
        with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
            old.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")
            (found,) = new.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        code = vars(error).get("sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            raise StorageUnavailable(f"{source} cannot be copied to {target}: {error}") from error
        raise Refused(f"{source} cannot be copied: {error}") from error
    if found != "ok":
        raise Refused(f"{source} is damaged: {found}")

"""Make a consistent copy of the database while the node runs, and a database from such a copy."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, inspect, make_url

from service.config import process_environment
from service.errors import Refused
from service.store.database import make_engine, translated
from service.store.errors import NotAllowed
from service.store.files.part_files import sync
from service.store.files.part_files import translated as disk_translated
from service.store.files.sqlite_copy import copy_sqlite

CHUNK_BYTES = 1 << 20


def copy_name(url: str) -> str:
    """Return the name of the file that holds the copy of such a database."""
    return "database.sqlite" if make_url(url).get_backend_name() == "sqlite" else "database.pgdump"


def copy_database(url: str, target: Path) -> None:
    """Write a copy of one moment of the database to a new file, durably; others read and write meanwhile.

    SQLite's own backup includes the write-ahead log, which a copy of the file alone would lose.

    Raises:
        Refused: the copy cannot be made, or is damaged; for Postgres, pg_dump says why.
        StorageUnavailable: the target cannot be written.
    """
    parts = make_url(url)
    with disk_translated(f"{target} cannot be written"):
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.close(descriptor)
    if parts.get_backend_name() == "sqlite":
        copy_sqlite(sqlite_file(url), target)
    else:
        _run(
            [
                "pg_dump",
                "--format=custom",
                "--no-owner",
                "--no-privileges",
                f"--file={target}",
                _conninfo(parts),
            ],
            parts,
        )
    _sync(target)


def load_database(url: str, source: Path) -> None:
    """Create a database from a copy where there is none; completely or not at all.

    Raises:
        NotAllowed: there is a database already.
        Refused: the copy cannot be read; for Postgres, pg_restore says why.
    """
    require_empty(url)
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite":
        _run(
            [
                "pg_restore",
                "--exit-on-error",
                "--single-transaction",
                "--no-owner",
                "--no-privileges",
                "--dbname",
                _conninfo(parts),
                str(source),
            ],
            parts,
        )
        return
    target = sqlite_file(url)
    with disk_translated(f"{target} cannot be written"):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o600)
    _sync(target)


def require_empty(url: str) -> None:
    """Return if there is no database yet; raise NotAllowed if there is one."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        file = sqlite_file(url)
        if file.exists():
            raise NotAllowed(
                f"there is a database at {file}: move it away first, with its -wal and -shm files"
            )
        return
    engine = make_engine(url)
    try:
        with translated():
            tables = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if tables:
        raise NotAllowed(f"the database {parts.database} has tables: restore into an empty one")


def sqlite_file(url: str) -> Path:
    """Return the file of a SQLite database."""
    name = make_url(url).database
    if not name:
        raise Refused("a database in memory has no file")
    return Path(name).absolute()


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with disk_translated(f"{file} cannot be read"), file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _conninfo(parts: URL) -> str:
    """Return the connection string for libpq's programs, without the password, which other users could see."""
    query = {key: value for key, value in parts.query.items() if isinstance(value, str)}
    named = {"host": parts.host, "port": parts.port, "user": parts.username, "dbname": parts.database}
    return make_conninfo("", **{key: value for key, value in named.items() if value is not None}, **query)


def _run(words: Sequence[str], parts: URL) -> None:
    program = shutil.which(words[0])
    if program is None:
        raise Refused(
            f"{words[0]} is not installed: it comes with PostgreSQL's client programs (postgresql-client)"
        )
    environment = process_environment()
    if parts.password is not None:
        environment["PGPASSWORD"] = str(parts.password)
    done = subprocess.run([program, *words[1:]], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Refused(f"{words[0]}: {'; '.join(said[-3:])}")


def _sync(file: Path) -> None:
    with disk_translated(f"{file} cannot be made durable"):
        for path in (file, file.parent):
            sync(path)

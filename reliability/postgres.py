"""A real Postgres server that can be stopped as by a power cut and started again."""

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_NAME = "trial"


class Postgres:
    """A server in its own folder, reached by a Unix socket."""

    def __init__(self, server: Any, folder: Path) -> None:
        self._server = server
        self._folder = folder

    @property
    def url(self) -> str:
        """The URL of the node's database."""
        return f"postgresql+psycopg://postgres@/{_NAME}?host={self._folder}"

    def stop_at_once(self) -> None:
        """Send SIGQUIT: the server ends without a checkpoint and recovers at its next start."""
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 30
        while (self._folder / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def start(self) -> None:
        """Return when it answers again."""
        self._server.ensure_postgres_running()


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Open a server with one empty database, until the context ends."""
    folder = Path(tempfile.mkdtemp(prefix="trial-pg-"))  # short, because the path of a socket must be
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the wheel: there is no XDG_RUNTIME_DIR in a container
        import pgserver  # a development dependency, needed only for Postgres

        server: Any = pgserver.get_server(folder)  # type: ignore[attr-defined]
    try:
        with psycopg.connect(
            host=str(folder), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"CREATE DATABASE {_NAME}".encode())
        yield Postgres(server, folder)
    finally:
        server.ensure_postgres_running()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

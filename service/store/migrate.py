"""Brings a database to this program's schema."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import make_url, text

from service.errors import Refused
from service.store.database import make_engine, translated
from service.store.part_files import translated as disk_translated

LOCK = 7261936  # any number; the same in every process of this node, and in nothing else


def upgrade(url: str) -> None:
    """Create or migrate the schema; several processes may call it at once, one does it and the others wait.

    Raises:
        DatabaseUnavailable: it does not answer.
        StorageUnavailable: the folder of a SQLite file cannot be made.
        Refused: the database was made by a newer version of this program.
    """
    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with _one_at_a_time(url), translated(), engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise Refused(f"the database cannot be brought to this version's schema: {error}") from error
    finally:
        engine.dispose()


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

"""Brings a database to this program's schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import make_url, text

from service.errors import Refused
from service.store.database import make_engine, translated

LOCK = 7261936  # any number; the same in every process of this node, and in nothing else


def upgrade(url: str) -> None:
    """Create or migrate the schema; several processes may call it at once, one does it and the others wait.

    Raises:
        DatabaseUnavailable: it does not answer.
        Refused: the database was made by a newer version of this program.
    """
    _make_folder(url)
    engine = make_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with translated(), engine.begin() as connection:  # on SQLite the transaction is the lock
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise Refused(f"the database cannot be brought to this version's schema: {error}") from error
    finally:
        engine.dispose()


def _make_folder(url: str) -> None:
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite" and parts.database is not None:
        Path(parts.database).absolute().parent.mkdir(parents=True, exist_ok=True)

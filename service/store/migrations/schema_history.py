"""The migrations, run by alembic. Imported only if there is one to run: alembic is large."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from service.errors import Refused


def migrate(connection: Connection, migrations: Path) -> None:
    """Run the missing migrations in the connection's transaction.

    Raises Refused if alembic cannot, say because a newer version of this program made the database.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Refused(f"the database cannot be brought to this version's schema: {error}") from error

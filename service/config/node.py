"""Where the node keeps things: its folder, its log and its database."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from typing_extensions import override

from service.config.section import SettingsSection

SQLITE = "sqlite:///"
DATABASE_SCHEMES = (SQLITE, "postgresql+psycopg://")


class LogLevel(StrEnum):
    """How much the node writes to its log."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    """The format of the node's log."""

    TEXT = "text"
    JSON = "json"


class DatabaseUrl(SecretStr):
    """A database URL that shows everything but its password."""

    @override
    def _display(self) -> str:
        head, at, tail = self.get_secret_value().rpartition("@")
        if not at:
            return tail
        scheme, _, user = head.partition("://")
        return f"{scheme}://{user.partition(':')[0]}:***@{tail}"


class NodeSettings(SettingsSection):
    """Where the node keeps things, and how much it logs."""

    storage_dir: Path = Field(
        default=Path("contour-node-data"),
        description="Folder for received images and structure sets; relative to the settings file, like every path.",
    )
    log_level: LogLevel = Field(default=LogLevel.INFO, description="How much is logged.")
    log_format: LogFormat = Field(
        default=LogFormat.TEXT, description="One line per event: text for people, or a JSON object."
    )


class DatabaseSettings(SettingsSection):
    """Where jobs and instances are recorded."""

    url: DatabaseUrl | None = Field(
        default=None,
        description="sqlite:///</path/of/file> or postgresql+psycopg://<user>:<password>@<host>/<name>; "
        "absent: SQLite in node.storage_dir.",
    )

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: DatabaseUrl | None) -> DatabaseUrl | None:
        if url is None:
            return None
        text = url.get_secret_value()
        if not text.startswith(DATABASE_SCHEMES):
            raise ValueError(f"a database URL starts with {' or '.join(DATABASE_SCHEMES)}")
        if text.startswith(SQLITE) and not text.removeprefix(SQLITE).startswith("/"):
            raise ValueError(
                f"a SQLite file needs its absolute path: {SQLITE}/var/lib/contour-node/node.sqlite"
            )
        return url

"""The connection to SQLite or Postgres; one code path for both."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Give the time of the machine, aware and in UTC."""
    return datetime.now(UTC)


class Database:
    """An engine and a clock; built once a process, after `upgrade`."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock = utc_now,
        busy_timeout_s: float = 30,
        connect_timeout_s: int = 10,
        pool_size: int = 5,
    ) -> None: ...

    def check(self) -> None:
        """Return if the database answers and has this program's schema; raise DatabaseUnavailable otherwise."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every connection."""
        raise NotImplementedError

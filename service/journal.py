"""The log of a process: one line an event, time in UTC, what the event is about as key=value at its end."""

import logging
import time

from typing_extensions import override

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """Puts the `extra` of a record behind its message; line breaks in values cannot forge a second record."""

    def __init__(self, role: str) -> None:
        """``role`` stands in every line."""
        super().__init__(f"%(asctime)sZ %(levelname)s {role} %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message with the record's own attributes behind it."""
        extra = [f"{k}={_shown(v)}" for k, v in vars(record).items() if k not in _STANDARD]
        return " ".join([super().formatMessage(record), *extra])


def start_log(role: str, level: str) -> None:
    """Log to standard error from here on; pynetdicom's own chatter stays out below warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(role))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("pynetdicom", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else ascii(text)

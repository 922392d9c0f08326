"""The log of a process: one line per event, as text for people or as a JSON object for programs; times in UTC."""

import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

from typing_extensions import override

from service.text import shown

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOTHING: Mapping[str, object] = {}
_subject: ContextVar[Mapping[str, object]] = ContextVar("subject", default=_NOTHING)


@contextmanager
def log_context(**subject: object) -> Iterator[None]:
    """Add ``subject`` to every line that this thread logs in the block, as `extra` would."""
    token = _subject.set({**_subject.get(), **subject})
    try:
        yield
    finally:
        _subject.reset(token)


class LineFormatter(logging.Formatter):
    """Appends the `extra` of a record to its message; line breaks in foreign text cannot forge a second record."""

    def __init__(self, role: str) -> None:
        """``role`` is part of every line."""
        super().__init__(f"%(asctime)sZ %(levelname)s {role} %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the message, followed by its `extra` and the context."""
        record.message = shown(record.message)
        extra = [f"{key}={_shown(value)}" for key, value in _extra(record).items()]
        return " ".join([super().formatMessage(record), *extra])

    @override
    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return the traceback, each line prefixed by a bar, so that an exception's text cannot look like a record."""
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  | {shown(line)}" for line in lines)


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, role, logger, message, `extra`, context, and the exception as a text.

    Only ASCII is written: whatever foreign text contains, a record is one line.
    """

    def __init__(self, role: str) -> None:
        """``role`` is part of every object."""
        super().__init__()
        self._role = role

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON; `extra` and context cannot overwrite the record's own fields."""
        own: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info is not None and record.exc_info[0] is not None:
            own["exception"] = self.formatException(record.exc_info)
        extra = {key if key not in own else f"extra_{key}": value for key, value in _extra(record).items()}
        return json.dumps(own | extra, default=str, skipkeys=True)


def start_log(role: str, level: str, form: str = "text") -> None:
    """Log to standard error from now on, as ``text`` or ``json``, including errors that end a thread or the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(role) if form == "json" else LineFormatter(role))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("pynetdicom", "alembic"):  # of these libraries, only warnings and errors
        logging.getLogger(noisy).setLevel(logging.WARNING)
    _leave_out_foreign_values()
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_end
    threading.excepthook = _log_thread_end


def _leave_out_foreign_values() -> None:
    """Cut the values that pydicom quotes in its warnings: a birth date, or any text sent as a UID.

    None of that belongs in a log. Besides, Python remembers every distinct warning that it has shown: strangers could
    fill the memory with them.
    """
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(pydicom|pynetdicom)\b")


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger(__name__).critical("ended by a bug in this program", exc_info=(kind, error, trace))


def _log_thread_end(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and ended.exc_type is not SystemExit:
        name = "" if ended.thread is None else ended.thread.name
        fault = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        logging.getLogger(__name__).critical("thread %s ended by a bug in this program", name, exc_info=fault)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    own = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {**_subject.get(), **own}


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else ascii(text)

"""A role's heartbeat: a thread that renews a row every few seconds."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from service.errors import TryAgain
from service.store import Heartbeats

log = logging.getLogger(__name__)


class HeartbeatThread:
    """A context in which this process counts as alive.

    It waits for nothing, and an unavailable database stops nothing.
    """

    def __init__(self, heartbeats: Heartbeats, role: str, *, every_s: float) -> None:
        self._heartbeats = heartbeats
        self._role = role
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{role}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the heartbeat on a clean end; a role that fails leaves its last one to grow old."""
        self._ended.set()
        self._thread.join()
        if error is None:
            self._write(self._heartbeats.retire)

    def _run(self) -> None:
        is_over = False
        while not is_over:
            self._write(self._heartbeats.beat)
            is_over = self._ended.wait(self._every_s)

    def _write(self, write: Callable[[str], None]) -> None:
        try:
            write(self._role)
        except TryAgain as reason:
            log.warning("heartbeat not written: %s", reason)

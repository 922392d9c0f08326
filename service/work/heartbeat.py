"""A thread that renews a claimed job's lease while its worker is busy."""

import logging
import threading
from types import TracebackType
from typing import Self

from service.errors import TryAgain
from service.store import ClaimedJob, WorkQueue

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The job was cancelled, superseded or claimed by another worker: stop working on it and write nothing."""


class Heartbeat:
    """A context in which the lease is renewed every ``every_s`` seconds."""

    def __init__(self, queue: WorkQueue, claim: ClaimedJob, *, lease_s: float, every_s: float) -> None:
        self._queue = queue
        self._claim = claim
        self._lease_s = lease_s
        self._every_s = every_s
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{claim.id}", daemon=True)

    def __enter__(self) -> Self:
        """Start the heartbeat."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the heartbeat; the lease then expires."""
        self._ended.set()
        self._thread.join()

    def stage(self, stage: str) -> None:
        """Set the job's stage; raises LeaseLost if the worker no longer holds the job."""
        if self._lost.is_set() or not self._queue.stage(self._claim, stage):
            raise LeaseLost

    def _beat(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                if not self._queue.heartbeat(self._claim, lease_s=self._lease_s):
                    self._lost.set()
                    return
            except TryAgain as reason:
                log.warning("job %d: no heartbeat: %s", self._claim.id, reason)

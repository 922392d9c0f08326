"""Queue events from busy threads and write them in the background: auditing must never stop reception."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from queue import Empty, Full, Queue
from types import TracebackType
from typing import Self

from service.store import AuditEvent, AuditKind, AuditLog, Clock, DatabaseUnavailable, utc_now
from service.text import shown

log = logging.getLogger(__name__)

MOST_WAITING = 100_000
"""Events held while the database is unavailable: a day of rejections, or of associations, of a busy node."""
MOST_IN_A_BATCH = 200
RETRY_S = 2.0
LAST_TRY_S = 5.0


class AuditWriter:
    """Writes one process's audit events. Thread-safe; close() writes the waiting ones."""

    def __init__(self, audit_log: AuditLog, *, role: str, clock: Clock = utc_now) -> None:
        self._log = audit_log
        self._role = role
        self._clock = clock
        self._queue: Queue[tuple[datetime, AuditEvent]] = Queue(MOST_WAITING)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def record(self, event: AuditEvent) -> None:
        """Queue an event that happened now; it is written as soon as the database is available."""
        try:
            self._queue.put_nowait((self._clock(), _fitting(event, self._role)))
        except Full:
            log.error("audit event lost: the database has been away for too long", extra={"kind": event.kind})  # noqa: TRY400

    @contextmanager
    def activity(self) -> Iterator[Self]:
        """Record that the role starts and, at the end, that it stops."""
        self.record(AuditEvent(kind=AuditKind.STARTED))
        try:
            yield self
        finally:
            self.record(AuditEvent(kind=AuditKind.STOPPED))

    def close(self) -> None:
        """Write the waiting events; give up after a few seconds without a database, and log that."""
        self._closing.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        batch: list[tuple[datetime, AuditEvent]] = []
        given_up_at: float | None = None
        while True:
            is_closing = self._closing.is_set()  # read first, so that everything before it is gathered
            batch = batch or self._gather()
            if is_closing:
                given_up_at = given_up_at or time.monotonic() + LAST_TRY_S
                if not batch:
                    return
            if batch and self._written(batch):
                batch = []
            elif batch and given_up_at is not None and time.monotonic() > given_up_at:
                lost = len(batch) + self._queue.qsize()
                log.error("audit events lost: the database is away", extra={"events": lost})
                return
            elif batch:
                self._closing.wait(RETRY_S) if given_up_at is None else time.sleep(RETRY_S / 10)

    def _gather(self) -> list[tuple[datetime, AuditEvent]]:
        """Wait briefly for a first event, then return all that are waiting."""
        batch: list[tuple[datetime, AuditEvent]] = []
        try:
            batch.append(self._queue.get(timeout=0.2))
            while len(batch) < MOST_IN_A_BATCH:
                batch.append(self._queue.get_nowait())
        except Empty:
            return batch
        return batch

    def _written(self, batch: list[tuple[datetime, AuditEvent]]) -> bool:
        try:
            self._log.append(batch)
        except DatabaseUnavailable as error:
            log.warning("audit events wait", extra={"events": len(batch), "reason": str(error)})
            return False
        return True


def _fitting(event: AuditEvent, role: str) -> AuditEvent:
    """Return the event in a form that the table accepts: text from a peer may be long or have control characters."""
    return replace(
        event,
        role=event.role or role,
        actor=_plain(event.actor, 128),
        address=_plain(event.address, 253),
        target=_plain(event.target, 128),
        study_uid=_plain(event.study_uid, 64),
        patient_id=_plain(event.patient_id, 128),
        detail=_plain(event.detail, 1000),
    )


def _plain(text: str, longest: int) -> str:
    return shown(text)[:longest]

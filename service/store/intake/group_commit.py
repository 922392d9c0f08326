"""Records received instances: the first thread to come commits for all that are waiting."""

import logging
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event, Lock, Thread
from time import monotonic
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError

from service.store.database import Database
from service.store.errors import DatabaseUnavailable, NotRecorded
from service.store.intake.async_commit import AsyncCommitConnection
from service.store.intake.instance_writer import InstanceWriter
from service.store.records import CT_SOP_CLASSES, ReceivedInstance
from service.store.states import RecordOutcome

log = logging.getLogger(__name__)

MOST_IN_A_BATCH = 256
MOST_UNSETTLED = 4096
SETTLE_AFTER_S = 1.0


@dataclass
class _Waiting:
    """An instance to be recorded, and the outcome."""

    instance: ReceivedInstance
    result: RecordOutcome | Exception | None = None


class InstanceRecorder:
    """Group commit. Safe to use from many threads; close() or leaving the with-block ends its thread.

    A commit does not wait for the disk if the instance's own file, durable already, can restore it. Such records are
    settled within seconds. If the database server dies before that, it may have forgotten them, and they are recorded
    again once it is back; if the machine dies, the next start reads them from their files.
    """

    def __init__(
        self,
        database: Database,
        connection: AsyncCommitConnection | None = None,
        *,
        opening: Collection[str] = CT_SOP_CLASSES,
    ) -> None:
        """Take the SOP classes of images that open a job: ``opening``."""
        self._connection = connection or AsyncCommitConnection(database)
        self._writer = InstanceWriter(database, opening)
        self._waiting: deque[_Waiting] = deque()
        self._turn = Lock()  # to commit; held for everything below
        self._unsettled: list[ReceivedInstance] = []
        self._is_doubtful = False  # the database failed while something was unsettled
        self._settle_at = 0.0
        self._closed = Event()
        self._settler = Thread(target=self._settle_in_time, name="recorder", daemon=True)
        self._settler.start()

    def open_jobs_for(self, opening: Collection[str]) -> None:
        """Let images of these SOP classes open a job from the next commit on."""
        self._writer.opening = frozenset(opening)

    def record(self, instance: ReceivedInstance) -> RecordOutcome:
        """Return only when the row is committed and cannot be lost: it, or the file that restores it, is durable.

        NEW and DUPLICATE may be acknowledged. CONFLICT and OTHER_SYNTAX: an instance with this UID but other content,
        or in another transfer syntax, is kept already; answer with a failure and discard the file.

        Raises:
            DatabaseUnavailable: it is not known whether it was kept; answer with a failure and leave the file.
            NotRecorded: the database refused this record; answer with a failure.
        """
        mine = _Waiting(instance)
        self._waiting.append(mine)
        with self._turn:  # no thread of its own: waking one for each slice costs more than the commit
            while mine.result is None:
                self._commit_those_waiting()
        if isinstance(mine.result, Exception):
            raise mine.result
        return mine.result

    @property
    def is_alive(self) -> bool:
        """Tell whether anything can still be recorded; once it is False, only a new process helps."""
        return self._settler.is_alive() and not self._closed.is_set()

    def close(self) -> None:
        """Make everything that is committed durable, then end the thread; records still waiting are refused."""
        with self._turn:
            self._closed.set()
        self._settler.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _commit_those_waiting(self) -> None:
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < MOST_IN_A_BATCH:
            batch.append(self._waiting.popleft())
        try:
            if self._closed.is_set():
                raise DatabaseUnavailable("the recorder is closed")
            self._commit(batch)
        finally:  # even after a bug: no thread may wait endlessly or report success
            for waiting in batch:
                if waiting.result is None:
                    waiting.result = DatabaseUnavailable("the recorder has ended")

    def _commit(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = self._write([waiting.instance for waiting in batch])
        except DatabaseUnavailable as error:
            self._doubt()
            for waiting in batch:
                waiting.result = error
        except DBAPIError as error:
            self._doubt()
            self._commit_alone(batch, error)
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.result = outcome

    def _write(self, instances: list[ReceivedInstance]) -> list[RecordOutcome]:
        self._restore()
        recorded = self._connection.write(partial(self._writer.record, batch=instances))
        if not self._unsettled:
            self._settle_at = monotonic() + SETTLE_AFTER_S
        self._unsettled += instances
        is_overdue = monotonic() > self._settle_at + SETTLE_AFTER_S  # the settler has not come
        if recorded.needs_disk or is_overdue or len(self._unsettled) > MOST_UNSETTLED:
            self._connection.settle()
            self._unsettled.clear()
        return recorded.outcomes

    def _commit_alone(self, batch: Sequence[_Waiting], error: DBAPIError) -> None:
        """Commit each record alone, so that one that the database refuses does not take the others with it."""
        if len(batch) > 1:
            for waiting in batch:
                self._commit([waiting])
            return
        [waiting] = batch
        instance = waiting.instance
        refusal = NotRecorded(
            f"the database refuses instance {instance.sop_instance_uid}: {type(error.orig).__name__}"
        )
        refusal.__cause__ = error
        waiting.result = refusal

    def _settle_in_time(self) -> None:
        try:
            while not self._closed.wait(SETTLE_AFTER_S / 2):
                with self._turn:
                    is_due = self._unsettled and monotonic() >= self._settle_at
                    if is_due:
                        self._settle()
                if is_due:
                    self._tidy()
        finally:
            with self._turn:
                self._closed.set()
                if self._unsettled:
                    self._settle()
                self._connection.close()

    def _tidy(self) -> None:
        try:
            self._connection.tidy()
        except DatabaseUnavailable as error:  # the log keeps growing; the next attempt may succeed
            log.warning("the database's write-ahead log cannot be merged yet", extra={"reason": str(error)})

    def _settle(self) -> None:
        """Make durable what is not durable yet; if that fails, it remains to be tried again."""
        try:
            self._restore()
            self._connection.settle()
        except DatabaseUnavailable:
            self._doubt()
            log.exception("%d records are not durable in the database yet", len(self._unsettled))
        else:
            self._unsettled.clear()

    def _doubt(self) -> None:
        self._is_doubtful = bool(self._unsettled)
        self._settle_at = monotonic() + SETTLE_AFTER_S

    def _restore(self) -> None:
        """Record again what the database may have forgotten when it went away."""
        if not self._is_doubtful:
            return
        for start in range(0, len(self._unsettled), MOST_IN_A_BATCH):
            some = self._unsettled[start : start + MOST_IN_A_BATCH]
            self._connection.write(partial(self._writer.record, batch=some, is_quiet=True))
        log.warning(
            "the database is back: %d records were written again or found there", len(self._unsettled)
        )
        self._is_doubtful = False

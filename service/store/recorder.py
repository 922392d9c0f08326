"""Records received instances: whoever comes first commits for all who wait."""

import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Event, Lock, Thread
from time import monotonic
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError

from service.store.database import Database
from service.store.errors import DatabaseUnavailable, NotRecorded
from service.store.ledger import Ledger
from service.store.reception import Scribe
from service.store.rows import ReceivedInstance
from service.store.states import Outcome

log = logging.getLogger(__name__)

MOST_IN_A_BATCH = 256
MOST_UNSETTLED = 4096
SETTLE_AFTER_S = 1.0
Waiting = tuple[ReceivedInstance, "Future[Outcome]"]


class Recorder:
    """Group commit. Safe to use from many threads; close() or leaving the with-block ends its thread.

    A commit does not wait for the disk where the instance's own file, durable already, can restore it. Such records
    are settled within seconds. Should the database server die before that, it may have forgotten them, and they are
    recorded again once it is back; should the machine die, the next start reads them from their files.
    """

    def __init__(self, database: Database, ledger: Ledger | None = None) -> None:
        self._ledger = ledger or Ledger(database)
        self._scribe = Scribe(database)
        self._waiting: deque[Waiting] = deque()
        self._turn = Lock()  # to commit; held for everything below
        self._unsettled: list[ReceivedInstance] = []
        self._is_doubtful = False  # the database failed while something was unsettled
        self._settle_at = 0.0
        self._closed = Event()
        self._settler = Thread(target=self._settle_in_time, name="recorder", daemon=True)
        self._settler.start()

    def record(self, instance: ReceivedInstance) -> Outcome:
        """Return only when the row is committed and cannot be lost: it, or the file that restores it, is durable.

        NEW and DUPLICATE may be acknowledged. CONFLICT and OTHER_SYNTAX: another instance with this UID but different
        content, or in another transfer syntax, is kept; answer a failure and discard the file.

        Raises:
            DatabaseUnavailable: nothing is known to be kept; answer a failure and leave the file.
            NotRecorded: the database refused this record; answer a failure.
        """
        future: Future[Outcome] = Future()
        self._waiting.append((instance, future))
        with self._turn:  # no thread of its own: waking one for each slice costs more than the commit
            while not future.done():
                self._commit_those_waiting()
        return future.result()

    @property
    def is_alive(self) -> bool:
        """Tell whether anything can still be recorded; once false, only a new process helps."""
        return self._settler.is_alive() and not self._closed.is_set()

    def close(self) -> None:
        """Make everything durable that is committed, then end the thread; who still waits is turned away."""
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
        batch: list[Waiting] = []
        while self._waiting and len(batch) < MOST_IN_A_BATCH:
            batch.append(self._waiting.popleft())
        try:
            if self._closed.is_set():
                raise DatabaseUnavailable("the recorder is closed")
            self._commit(batch)
        finally:  # also after a bug: nobody may wait for ever, and nobody may be told yes
            for _, future in batch:
                if not future.done():
                    future.set_exception(DatabaseUnavailable("the recorder has ended"))

    def _commit(self, batch: Sequence[Waiting]) -> None:
        try:
            outcomes = self._write([instance for instance, _ in batch])
        except DatabaseUnavailable as error:
            self._doubt()
            for _, future in batch:
                future.set_exception(error)
        except DBAPIError as error:
            self._doubt()
            self._commit_alone(batch, error)
        else:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                future.set_result(outcome)

    def _write(self, instances: list[ReceivedInstance]) -> list[Outcome]:
        self._restore()
        with self._ledger.writing() as (connection, cursor):
            recorded = self._scribe.record(connection, cursor, instances)
        if not self._unsettled:
            self._settle_at = monotonic() + SETTLE_AFTER_S
        self._unsettled += instances
        if recorded.needs_disk or len(self._unsettled) > MOST_UNSETTLED or monotonic() > self._settle_at:
            self._ledger.settle()
            self._unsettled.clear()
        return recorded.outcomes

    def _commit_alone(self, batch: Sequence[Waiting], error: DBAPIError) -> None:
        """Find the record that the database refuses, so that its neighbours are not lost with it."""
        if len(batch) > 1:
            for waiting in batch:
                self._commit([waiting])
            return
        instance, future = batch[0]
        refusal = NotRecorded(
            f"the database refuses instance {instance.sop_instance_uid}: {type(error.orig).__name__}"
        )
        refusal.__cause__ = error
        future.set_exception(refusal)

    def _settle_in_time(self) -> None:
        try:
            while not self._closed.wait(SETTLE_AFTER_S / 2):
                with self._turn:
                    if self._unsettled and monotonic() >= self._settle_at:
                        self._settle()
        finally:
            with self._turn:
                self._closed.set()
                if self._unsettled:
                    self._settle()
                self._ledger.close()

    def _settle(self) -> None:
        """Make durable what is not yet; where that fails, it stays to be tried again."""
        try:
            self._restore()
            self._ledger.settle()
        except DatabaseUnavailable:
            self._doubt()
            log.exception("%d records are not settled yet", len(self._unsettled))
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
            with self._ledger.writing() as (connection, cursor):
                self._scribe.record(connection, cursor, some, is_quiet=True)
        log.warning("the database is back: %d records were made sure of", len(self._unsettled))
        self._is_doubtful = False

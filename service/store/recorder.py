"""Records received instances: many threads wait, one thread commits for all of them."""

from collections.abc import Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from sqlalchemy.exc import DBAPIError

from service.store.database import Database
from service.store.errors import DatabaseUnavailable, NotRecorded
from service.store.reception import record_batch
from service.store.rows import ReceivedInstance
from service.store.states import Outcome

MOST_IN_A_BATCH = 256
Waiting = tuple[ReceivedInstance, "Future[Outcome]"]


class Recorder:
    """Group commit. Safe to use from many threads; close() or leaving the with-block ends its thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._closing = Lock()
        self._closed = False
        self._thread = Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def record(self, instance: ReceivedInstance) -> Outcome:
        """Return only when the row is committed.

        NEW and DUPLICATE may be acknowledged. CONFLICT: another instance with this UID but different content is
        kept; answer a failure and discard the file.

        Raises:
            DatabaseUnavailable: nothing is known to be kept; answer a failure and leave the file.
            NotRecorded: the database refused this record; answer a failure.
        """
        future: Future[Outcome] = Future()
        with self._closing:
            if self._closed:
                raise DatabaseUnavailable("the recorder is closed")
            self._queue.put((instance, future))
        return future.result()

    @property
    def is_alive(self) -> bool:
        """Tell whether anything can still be recorded; once false, only a new process helps."""
        return self._thread.is_alive() and not self._closed

    def close(self) -> None:
        """Commit what waits, then end the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        batch: list[Waiting] = []
        try:
            while (first := self._queue.get()) is not None:
                batch = [first]
                last_one = self._gather(batch)
                self._commit(batch)
                if last_one:
                    return
        finally:  # also after a bug: nobody may wait for ever, and nobody may be told yes
            self._turn_away(batch)

    def _gather(self, batch: list[Waiting]) -> bool:
        """Take what waits without waiting for more; tell whether the end was among it."""
        while len(batch) < MOST_IN_A_BATCH:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                return False
            if waiting is None:
                return True
            batch.append(waiting)
        return False

    def _commit(self, batch: Sequence[Waiting]) -> None:
        try:
            with self._database.writing() as connection:
                outcomes = record_batch(self._database, connection, [instance for instance, _ in batch])
        except DatabaseUnavailable as error:
            for _, future in batch:
                future.set_exception(error)
        except DBAPIError as error:
            self._commit_alone(batch, error)
        else:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                future.set_result(outcome)

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

    def _turn_away(self, batch: list[Waiting]) -> None:
        with self._closing:
            self._closed = True
        while not self._queue.empty():
            waiting = self._queue.get()
            if waiting is not None:
                batch.append(waiting)
        for _, future in batch:
            if not future.done():
                future.set_exception(DatabaseUnavailable("the recorder has ended"))

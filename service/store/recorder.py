"""Records received instances: many threads wait, one thread commits for all of them."""

from types import TracebackType
from typing import Self

from service.store.database import Database
from service.store.rows import ReceivedInstance
from service.store.states import Outcome


class Recorder:
    """Group commit. Safe to use from many threads; close() or leaving the with-block ends its thread."""

    def __init__(self, database: Database) -> None: ...

    def record(self, instance: ReceivedInstance) -> Outcome:
        """Return only when the row is committed.

        NEW and DUPLICATE may be acknowledged. CONFLICT: another instance with this UID but different content is
        kept; answer a failure and discard the file.

        Raises:
            DatabaseUnavailable: nothing is known to be kept; answer a failure and leave the file.
            NotRecorded: the database refused this record; answer a failure.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Commit what waits, then end the thread."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

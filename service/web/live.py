"""Changes of jobs as they happen: one poller per process, to which every open page listens."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Mapping

from service.errors import TryAgain
from service.store import JobLists, JobState

log = logging.getLogger(__name__)

POLL_S = 1.0
COUNTS_EVERY = 3
"""Polls between two counts of all jobs."""
MOST_LISTENERS = 50
KEEP_ALIVE_S = 15.0


class TooManyListeners(Exception):
    """So many pages are open that another one would slow the node down."""


class LiveJobs:
    """Polls the job events in a thread, from ``start`` to ``stop``."""

    def __init__(self, lists: JobLists, *, poll_s: float = POLL_S) -> None:
        self._lists = lists
        self._poll_s = poll_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-jobs", daemon=True)
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[str]]] = set()
        self._lock = threading.Lock()
        self._last_event = 0
        self._counts: Mapping[JobState, int] = {}
        self.is_database_there = True

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def stop(self) -> None:
        """Stop polling and end every stream."""
        self._stop.set()
        self._tell("")
        self._thread.join()

    @property
    def counts(self) -> Mapping[JobState, int]:
        """The number of jobs in each state, a few seconds old."""
        return self._counts

    def recount(self) -> None:
        """Count the jobs now: somebody has just changed many and looks at the numbers."""
        self._counts = self._lists.counts()

    async def changes(self) -> AsyncIterator[str]:
        """Yield server-sent events: one whenever jobs have changed, and a comment while nothing happens.

        Raises:
            TooManyListeners: MOST_LISTENERS pages are listening already.
        """
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=100)
        me = (asyncio.get_running_loop(), queue)
        with self._lock:
            if len(self._listeners) >= MOST_LISTENERS:
                raise TooManyListeners
            self._listeners.add(me)
        try:
            yield ": connected\n\n"
            while not self._stop.is_set():
                try:
                    message = await asyncio.wait_for(queue.get(), KEEP_ALIVE_S)
                except TimeoutError:
                    message = ": nothing new\n\n"
                yield message
        finally:
            with self._lock:
                self._listeners.discard(me)

    def _run(self) -> None:
        polls = 0
        while not self._stop.is_set():
            try:
                if polls == 0:
                    self._last_event = self._lists.newest_event()
                if polls % COUNTS_EVERY == 0:
                    self._counts = self._lists.counts()
                self._look()
                polls += 1
                self._database_is(there=True)
            except TryAgain as reason:
                log.info("the web page shows no changes at present: %s", reason)
                self._database_is(there=False)
            self._stop.wait(self._poll_s)

    def _look(self) -> None:
        self._last_event, changed = self._lists.changed_since(self._last_event)
        if changed:
            numbers = ",".join(map(str, sorted(changed)))
            self._tell(f"id: {self._last_event}\nevent: jobs\ndata: {numbers}\n\n")

    def _database_is(self, *, there: bool) -> None:
        if there is not self.is_database_there:
            self.is_database_there = there
            self._tell(f"event: database\ndata: {'there' if there else 'away'}\n\n")

    def _tell(self, message: str) -> None:
        with self._lock:
            listeners = list(self._listeners)
        for loop, queue in listeners:
            loop.call_soon_threadsafe(_put, queue, message)


def _put(queue: "asyncio.Queue[str]", message: str) -> None:
    """Queue a message; a page that does not read loses the oldest, but fetches the whole list at the next one."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(message)

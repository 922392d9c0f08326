"""Keeps an association's own thread of pynetdicom from taking the answer to a request that this side has sent.

pynetdicom 3.0 stops that thread before it sends, but looks at a flag that is also up for a moment while the thread
still runs (`Association._run_reactor`); a peer that answers at once, within a few milliseconds, then has its answer
taken by the wrong thread, and the request waits for its timeout. This checkpoint lets nobody pass before the thread
truly stands.
"""

import threading

from pynetdicom.association import Association

LONGEST_S = 1.0
"""How long to wait for a thread that does not come by; it has ended, then, and takes no answers."""


class ReactorPause:
    """Takes the place of the event that pynetdicom stops its thread with."""

    def __init__(self, stopped: threading.Thread) -> None:
        self._stopped = stopped
        self._changed = threading.Condition()
        self._is_open = True
        self._is_held = False

    def is_set(self) -> bool:
        """Whether the thread may pass."""
        return self._is_open

    def set(self) -> None:
        """Let the thread pass."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Return once the thread stands here, unless it asks for itself."""
        with self._changed:
            self._is_open = False
            if threading.current_thread() is not self._stopped:
                self._changed.wait_for(lambda: self._is_held, LONGEST_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Stand here until it is open."""
        with self._changed:
            self._is_held = not self._is_open
            self._changed.notify_all()
            passed = self._changed.wait_for(lambda: self._is_open, timeout)
            self._is_held = False
            return passed


def pause_reactor(association: Association) -> None:
    """Make it safe to send several requests on an association that this side asked for and that is established."""
    association._reactor_checkpoint = ReactorPause(association)  # type: ignore[assignment]

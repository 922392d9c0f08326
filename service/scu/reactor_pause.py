"""Keep pynetdicom's reactor thread from consuming the answer to a request that this side has sent.

pynetdicom 3.0 pauses that thread before it sends, but tests a flag that is also set briefly while the thread is still
running (`Association._run_reactor`). If a peer answers within a few milliseconds, the wrong thread takes the answer
and the request waits until its timeout. This checkpoint makes the caller wait until the thread has really paused.
"""

import threading

from pynetdicom.association import Association

LONGEST_S = 1.0
"""How long to wait for the thread to pause; after that it has ended and consumes no answers."""


class ReactorPause:
    """Replaces the event with which pynetdicom pauses its thread."""

    def __init__(self, stopped: threading.Thread) -> None:
        self._stopped = stopped
        self._changed = threading.Condition()
        self._is_open = True
        self._is_held = False

    def is_set(self) -> bool:
        """Tell whether the thread may run."""
        return self._is_open

    def set(self) -> None:
        """Let the thread run."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Pause the thread and return once it has paused (at once if the thread itself calls this)."""
        with self._changed:
            self._is_open = False
            if threading.current_thread() is not self._stopped:
                self._changed.wait_for(lambda: self._is_held, LONGEST_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Block the thread while it is paused."""
        with self._changed:
            self._is_held = not self._is_open
            self._changed.notify_all()
            passed = self._changed.wait_for(lambda: self._is_open, timeout)
            self._is_held = False
            return passed


def pause_reactor(association: Association) -> None:
    """Make it safe to send several requests on an established association that this side requested."""
    association._reactor_checkpoint = ReactorPause(association)  # type: ignore[assignment]

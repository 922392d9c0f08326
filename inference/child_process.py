"""Processes and their children: that none outlives its parent, and which there are."""

import ctypes
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded before any fork: between fork and exec only the call itself is safe


def die_with_parent() -> None:
    """As a Popen's ``preexec_fn``: Linux sends the child SIGTERM when its parent ends, kill -9 included.

    'Parent' is the thread that started the child: start children from a thread that lives as long as they should.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def children_of(process_id: int) -> frozenset[int]:
    """Return the ids of the processes that a process started and that run; Linux only."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(int(entry.name)) == process_id:
            found.add(int(entry.name))
    return frozenset(found)


def is_running(process_id: int) -> bool:
    """Whether such a process exists and has not ended, with the last of its threads: it may hold files until then."""
    return _parent(process_id) is not None


def _parent(process_id: int) -> int | None:
    """Return the id of the parent of a process that runs; None for one that ended, waited for or not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    has_ended = state in "ZX" and not _other_threads(process_id)
    return None if has_ended else int(parent)


def _other_threads(process_id: int) -> bool:
    """Whether a process whose first thread has ended still has others."""
    try:
        threads = [int(task.name) for task in Path(f"/proc/{process_id}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(thread != process_id for thread in threads)

"""Child processes: none outlives its parent, and the parent can list them."""

import ctypes
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded before any fork: between fork and exec only the call itself is safe


def die_with_parent() -> None:
    """Let Linux send this process SIGTERM when its parent ends, even by kill -9; for a Popen's ``preexec_fn``.

    'Parent' means the thread that started the child: start children from a thread that lives as long as they should.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def children_of(process_id: int) -> frozenset[int]:
    """Return the ids of the running processes that a process started; Linux only."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent(int(entry.name)) == process_id:
            found.add(int(entry.name))
    return frozenset(found)


def is_running(process_id: int) -> bool:
    """Tell whether a process exists and any of its threads still runs: until then it may hold files."""
    return _parent(process_id) is not None


def _parent(process_id: int) -> int | None:
    """Return the id of a running process's parent; None for a process that has ended, waited for or not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    has_ended = state in "ZX" and not _other_threads(process_id)
    return None if has_ended else int(parent)


def _other_threads(process_id: int) -> bool:
    """Tell whether a process whose first thread has ended still has others."""
    try:
        threads = [int(task.name) for task in Path(f"/proc/{process_id}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(thread != process_id for thread in threads)

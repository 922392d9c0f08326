"""Files in /dev/shm that belong to a live process: its lock on them ends with it, however it ends.

So a file without a lock is a leftover that its user may remove at any time: without process ids, which mean nothing
across containers, and without age limits, which would keep a patient's volume for a while.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FOLDER = Path("/dev/shm")


def create_locked(name: str) -> int:
    """Create and lock a file that only this user may open; return its descriptor. Raises OSError.

    Another process that removes leftovers may remove it before it is locked: then it is created again.
    """
    path = FOLDER / name
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def remove_unlocked(pattern: str) -> Iterator[str]:
    """Remove this user's unlocked files that match a name pattern, and yield the name of each."""
    for path in FOLDER.glob(pattern):
        with suppress(OSError):  # it has been removed meanwhile, or it is another user's
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                yield path.name
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)

"""Files in /dev/shm that belong to a living process: its lock on them ends with it, however it ends.

So a file without a lock is a leftover that its user may remove at any time: no process ids, which mean nothing across
containers, and no ages, which keep a patient's volume for a while.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FOLDER = Path("/dev/shm")


def create_locked(name: str) -> int:
    """Create a file that only this user may open, with a lock; return its descriptor. Raises OSError.

    Somebody who removes leftovers may find it before it has its lock, and remove it: then it is created again.
    """
    path = FOLDER / name
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def remove_unlocked(pattern: str) -> Iterator[str]:
    """Remove this user's files of a name pattern that nobody has locked, and yield the name of each."""
    for path in FOLDER.glob(pattern):
        with suppress(OSError):  # somebody else removed it meanwhile, or it is another user's
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                yield path.name
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)

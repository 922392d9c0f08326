"""When root runs a verb on another user's store: give what it writes to that user."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.errors import Refused

STEP_S = 2.0
"""Files get the time of the kernel's last tick, which may be slightly before the verb began."""


def expect_own(storage: Path) -> None:
    """Raise Refused if root would run a long-lived process on another user's store.

    The service could not read what root's role wrote, and its model server could not open root's shared memory.
    """
    owner = _other_owner(storage)
    if owner is not None:
        raise Refused(
            f"{storage} belongs to user {owner}, and this is root: start the service, or run this as that user "
            "(runuser -u contour-node -- contour-node ...)"
        )


@contextmanager
def given_back(storage: Path) -> Iterator[None]:
    """Give files that root creates in the storage folder to its owner; does nothing for other users."""
    owner = _other_owner(storage)
    if owner is None:
        yield
        return
    group, began_ns = storage.stat().st_gid, time.time_ns() - int(STEP_S * 1e9)
    try:
        yield
    finally:
        _give(storage, owner, group, began_ns)


def _give(folder: Path, owner: int, group: int, began_ns: int) -> None:
    """Change the owner of root's files; skip folders in which nothing was created or renamed since ``began_ns``."""
    with os.scandir(folder) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            if found.st_uid == 0:
                os.chown(entry.path, owner, group, follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False) and max(found.st_mtime_ns, found.st_ctime_ns) >= began_ns:
                _give(Path(entry.path), owner, group, began_ns)


def _other_owner(storage: Path) -> int | None:
    """Return the owner of an existing storage folder that is not root's; None unless this process is root."""
    if os.geteuid() != 0:
        return None
    try:
        owner = storage.stat().st_uid
    except FileNotFoundError:
        return None
    return None if owner == 0 else owner

"""One node per storage folder: a node that uses it holds a lock on it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from service.errors import Refused
from service.store.files.part_files import translated

LOCK = "owner.lock"


@contextmanager
def owned(root: Path, *, alone: bool) -> Iterator[None]:
    """Hold the storage folder: ``alone`` for a whole node, shared for a role that runs as a process of its own.

    A role that the owner itself started belongs to the owner. Raises Refused if another node has the folder.
    """
    with translated(f"the storage folder {root} cannot be locked"):
        lock = (root / LOCK).open("a+", encoding="ascii")
    with lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = _owner(lock)
            if alone or owner != str(os.getppid()):
                raise Refused(_taken(root, owner, alone=alone)) from error
        else:
            lock.truncate(0)  # the process id of an owner that was killed
            if alone:
                lock.write(str(os.getpid()))
                lock.flush()
        yield


def _owner(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read().strip()


def _taken(root: Path, owner: str, *, alone: bool) -> str:
    if alone and not owner:
        return (
            f"roles of a node already use the storage folder {root} as separate processes: end them, or start the "
            "remaining roles one by one instead of with `serve`"
        )
    who = f"process {owner} on this machine, or a node on another one" if owner else "another process"
    return (
        f"another node uses the storage folder {root} ({who}): two nodes would contour and send everything twice. End it, or "
        "give this one its own node.storage_dir"
    )

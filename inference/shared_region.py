"""A piece of system shared memory that Triton can map, and that never outlives its use for long.

The owner holds a lock on the file while it lives. The kernel drops the lock with the owner, however it ends, so a
region without a lock is a leftover that anybody may remove: no process ids, which mean nothing across containers.
"""

import fcntl
import mmap
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

PREFIX = "contour-node-"
_FOLDER = Path("/dev/shm")
_ALIGNMENT = 64
_SETTLED_S = 30.0


class SharedRegion:
    """One file of shared memory with a unique name; gone when the context is left."""

    def __init__(self, size_bytes: int) -> None:
        """Reserve the memory, zeroed. Raises OSError (ENOSPC) where the host has not that much left."""
        self.name = f"{PREFIX}{uuid.uuid4().hex}"
        self.size_bytes = size_bytes
        self._path = _FOLDER / self.name
        descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.posix_fallocate(descriptor, 0, size_bytes)
            self._map = mmap.mmap(descriptor, size_bytes)
        except OSError:
            self._path.unlink()
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    @property
    def key(self) -> str:
        """The name under which shm_open finds it."""
        return f"/{self.name}"

    def view(self, offset: int, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[np.generic]:
        """Return an array over the region's memory, valid only inside the context."""
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(self._map, dtype, count=count, offset=offset).reshape(shape)

    def __enter__(self) -> Self:
        """Return the region itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the name, drop the lock, and free the memory once the last view is gone."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        with suppress(BufferError):  # a view that is still referenced frees the memory when it goes
            self._map.close()


def offsets(sizes_bytes: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Aligned places for named pieces in one region, and the region's size (never 0)."""
    places, end = {}, 0
    for name, size in sizes_bytes.items():
        places[name] = end
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return places, max(end, _ALIGNMENT)


def remove_leftovers() -> tuple[str, ...]:
    """Remove the regions whose owner is gone, and return their names; regions in use stay."""
    removed = []
    for path in _FOLDER.glob(f"{PREFIX}*"):
        with suppress(OSError):  # somebody else removed it, or owns it, meanwhile
            if _is_leftover(path):
                path.unlink()
                removed.append(path.name)
    return tuple(removed)


def is_gone(name: str) -> bool:
    """Whether the name is one of ours and no such region exists any more."""
    return name.startswith(PREFIX) and not (_FOLDER / name).exists()


def _is_leftover(path: Path) -> bool:
    if time.time() - path.stat().st_mtime < _SETTLED_S:
        return False  # perhaps created a moment ago and not locked yet
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True

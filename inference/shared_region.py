"""System shared memory that Triton can map, readable by this user alone, and removed soon after its owner ends."""

import mmap
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from inference.shared_memory_files import FOLDER, create_locked, remove_unlocked

PREFIX = "contour-node-"
_ALIGNMENT = 64


class SharedRegion:
    """One file of shared memory with a unique name; removed when the context ends."""

    def __init__(self, size_bytes: int) -> None:
        """Reserve the memory, zeroed. Raises OSError (ENOSPC) where the host does not have that much left."""
        self.name = f"{PREFIX}{uuid.uuid4().hex}"
        self.size_bytes = size_bytes
        self._path = FOLDER / self.name
        descriptor = create_locked(self.name)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            self._map = mmap.mmap(descriptor, size_bytes)
        except OSError:
            self._path.unlink()
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    @property
    def key(self) -> str:
        """The name by which shm_open finds it."""
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
        with suppress(BufferError):  # a view that is still referenced frees the memory later
            self._map.close()


def offsets(sizes_bytes: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Return aligned offsets in bytes for named pieces of one region, and the region's size (never 0)."""
    places, end = {}, 0
    for name, size in sizes_bytes.items():
        places[name] = end
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    return places, max(end, _ALIGNMENT)


def remove_leftovers() -> tuple[str, ...]:
    """Remove the regions whose owner is gone, and return their names; regions in use are kept."""
    return tuple(remove_unlocked(f"{PREFIX}*"))


def is_gone(name: str) -> bool:
    """Tell whether the name is one of ours and no such region exists any more."""
    return name.startswith(PREFIX) and not (FOLDER / name).exists()

"""The shared memory of one embedded server: its name, who may open it, and its removal after the server has ended."""

import os
import uuid
from contextlib import suppress

from inference.private_files import open_to_others
from inference.shared_memory_files import FOLDER, create_locked, remove_unlocked

_PREFIX = "contour-triton-"
_MARK = ".lock"


class ServerMemory:
    """A unique name for a server's regions, and a marker file whose lock the server's processes hold.

    A marker without a lock names the regions of a dead server. They are removed when the next one starts, wherever that
    runs.
    """

    def __init__(self) -> None:
        """Choose the name, and remove the regions that dead servers of this user left."""
        _remove_leftovers()
        self._name = f"{_PREFIX}{uuid.uuid4().hex[:16]}"
        self.descriptor = create_locked(self._name + _MARK)

    @property
    def prefix(self) -> str:
        """The prefix of the names of the server's regions."""
        return f"{self._name}-"

    def open_to_others(self) -> list[str]:
        """List the regions that another user could open, with their modes."""
        return open_to_others(FOLDER, f"{self._name}*")

    def remove(self) -> None:
        """Remove the regions and the marker; call it after the server's last process has ended."""
        _remove_regions(self._name)
        (FOLDER / (self._name + _MARK)).unlink(missing_ok=True)
        os.close(self.descriptor)


def _remove_leftovers() -> None:
    for mark in remove_unlocked(f"{_PREFIX}*{_MARK}"):
        _remove_regions(mark.removesuffix(_MARK))
    marks = tuple(path.name.removesuffix(_MARK) for path in FOLDER.glob(f"{_PREFIX}*{_MARK}"))
    for region in FOLDER.glob(
        f"{_PREFIX}*"
    ):  # of a server that was killed while its regions were being removed
        if not region.name.startswith(marks):
            with suppress(OSError):
                region.unlink()


def _remove_regions(name: str) -> None:
    for region in FOLDER.glob(f"{name}-*"):
        region.unlink(missing_ok=True)

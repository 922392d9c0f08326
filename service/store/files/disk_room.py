"""The free space of the storage folder's disk, and whether a file can still be made durable there."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from service.store.files.part_files import translated

PROBE = ".writable"


@dataclass(frozen=True, kw_only=True)
class DiskRoom:
    """Sizes in bytes of the file system that holds the storage folder."""

    size_bytes: int
    free_bytes: int


def disk_room(root: Path) -> DiskRoom:
    """Return the size and free space of a storage folder's disk; raises StorageUnavailable if they cannot be read."""
    with translated(f"the storage folder {root} cannot be read"):
        usage = shutil.disk_usage(root)
    return DiskRoom(size_bytes=usage.total, free_bytes=usage.free)


def check_writable(root: Path) -> None:
    """Write a byte, make it durable and remove it; raises StorageFull or StorageUnavailable if that fails."""
    probe = root / PROBE
    with translated(f"nothing can be written to the storage folder {root}"):
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, b"1")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink(missing_ok=True)

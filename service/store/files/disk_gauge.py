"""How much room the storage folder has left, logged when it changes."""

import logging
import os
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from service.config import RetentionSettings
from service.store.files.part_files import translated

log = logging.getLogger(__name__)
LOOK_EVERY_S = 1.0


class DiskLevel(StrEnum):
    """How full the file system is."""

    ENOUGH = "enough"
    LITTLE = "little"
    NONE = "none"


class DiskGauge:
    """Tells whether new files may be written; safe to use from many threads, one look at the disk a second."""

    def __init__(
        self,
        folder: Path,
        limits: RetentionSettings,
        *,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._statvfs = statvfs
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._room = DiskLevel.ENOUGH
        self._free_bytes = 0

    def __call__(self) -> str | None:
        """Say why nothing new may be written now; None while there is room."""
        return "disk nearly full" if self.room() is DiskLevel.NONE else None

    def room(self) -> DiskLevel:
        """Return how full the file system was at most a second ago; raises StorageUnavailable if it does not tell."""
        with self._lock:
            now = self._clock()
            if self._looked_at is None or now - self._looked_at >= LOOK_EVERY_S:
                self._look()
                self._looked_at = now
            return self._room

    def _look(self) -> None:
        with translated(f"the file system of {self._folder} cannot be asked for its free space"):
            disk = self._statvfs(self._folder)
        total_bytes = disk.f_blocks * disk.f_frsize
        self._free_bytes = disk.f_bavail * disk.f_frsize
        before, self._room = self._room, self._judged(total_bytes)
        if self._room is not before:
            self._say(total_bytes)

    def _judged(self, total_bytes: int) -> DiskLevel:
        if self._free_bytes < self._limits.refused_below(total_bytes):
            return DiskLevel.NONE
        is_little = self._free_bytes < self._limits.warned_below(total_bytes)
        return DiskLevel.LITTLE if is_little else DiskLevel.ENOUGH

    def _say(self, total_bytes: int) -> None:
        left = f"{self._free_bytes / 1e9:.1f} of {total_bytes / 1e9:.1f} GB are free in {self._folder}"
        if self._room is DiskLevel.NONE:
            log.error("the disk is nearly full: %s; new objects are refused and no job is started", left)
        elif self._room is DiskLevel.LITTLE:
            log.warning("the disk is getting full: %s", left)
        else:
            log.info("the disk has room again: %s", left)

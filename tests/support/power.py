"""What a disk holds after a power cut: only what was synced before it, with the names that it had then."""

import os
import shutil
from pathlib import Path
from threading import Lock


class Disk:
    """Stands in for fsync in a folder, and builds what is left of the folder when the power fails."""

    def __init__(self, folder: Path, left: Path) -> None:
        self._folder = folder
        self._left = left
        self._lock = Lock()
        self._has_power = True
        self.syncs = 0

    def sync(self, descriptor: int) -> None:
        """Take a file to the disk as it is now; a folder's own sync takes nothing more, for names come with files."""
        with self._lock:
            if not self._has_power:
                raise OSError(5, "no power")
            self.syncs += 1
            status = os.fstat(descriptor)
            for file in self._files():
                if file.stat().st_ino == status.st_ino:
                    self._keep(file)

    def cut(self) -> None:
        """Fail the power: the database's main file and what was synced of everything else are left."""
        with self._lock:
            self._has_power = False
            for file in self._folder.glob("*.sqlite"):
                self._keep(file)

    def _files(self) -> list[Path]:
        return [*self._folder.glob("store/objects/*/*"), *self._folder.glob("*-wal")]

    def _keep(self, file: Path) -> None:
        place = self._left / file.relative_to(self._folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)

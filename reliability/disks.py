"""A small file system in memory that can be filled and made read-only, if this machine lets us mount one."""

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BLOCK = bytes(1 << 16)
_SMALL = bytes(512)


class Disk:
    """A folder; a separate file system if ``is_mounted``."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Fill the disk to the last byte until the context ends."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for block in (_BLOCK, _SMALL):
                _write_until_full(file.fileno(), block)
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only(self, within_s: float = 5.0) -> Iterator[bool]:
        """Make it read-only until the context ends; yield False if files were open for writing all the time."""
        done = False
        deadline = time.monotonic() + within_s
        while not done and time.monotonic() < deadline:
            done = self._remounted("ro")
        try:
            yield done
        finally:
            if done and not self._remounted("rw"):
                raise RuntimeError(f"{self.folder} stays read-only")

    def _remounted(self, mode: str) -> bool:
        command = ["mount", "-o", f"remount,{mode}", str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def mounted_disk(folder: Path, size: str = "64m") -> Iterator[Disk]:
    """Open a file system of this size in ``folder`` until the context ends.

    It is an ordinary folder if mounting is not allowed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:  # no mount on this machine
        is_mounted = False
    try:
        yield Disk(folder, is_mounted=is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _write_until_full(descriptor: int, block: bytes) -> None:
    while True:
        try:
            os.write(descriptor, block)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return

"""A disk with a volatile write cache: what was not flushed is lost in a power cut, all of it or any part.

A separate process serves one file by the kernel's FUSE protocol; a loop device makes a disk of that file. A write stays
in this process's memory until the kernel flushes the disk, as in the cache of a real one. It serves one request after
the other, so that a cut falls between two requests and stops everything at that instant.
"""

import ctypes
import os
import random
import select
import shutil
import signal
import stat
import struct
import subprocess
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from inference.child_process import die_with_parent

BLOCK_BYTES = 4096  # today's disks write this much completely or not at all
DEVICE = "disk"
_MOST_BYTES = 1 << 20
_LOOKUP, _FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE = 1, 2, 3, 4, 14, 15, 16
_RELEASE, _FSYNC, _FLUSH, _INIT, _BATCH_FORGET = 18, 20, 25, 26, 42
_UNANSWERED = frozenset({_FORGET, _BATCH_FORGET})
_NO_SUCH_CALL = 38
_ROOT_NODE, _FILE_NODE = 1, 2
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_DIRECT_IO = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True)
class PowerCut:
    """What a power cut found in the disk's cache, in blocks of 4 KiB."""

    unflushed: int
    kept: int
    """Those of them that had reached the disk all the same."""


class VolatileImage:
    """An image file, and what was written to it since the last flush."""

    def __init__(self, image: Path) -> None:
        self._image = image
        self._file = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        self._cache: dict[int, bytes] = {}
        self.size_bytes = os.fstat(self._file).st_size

    def read(self, offset: int, size: int) -> bytes:
        """Return what was last written, flushed or not."""
        first, end = offset // BLOCK_BYTES, -(-(offset + size) // BLOCK_BYTES)
        if not any(block in self._cache for block in range(first, end)):
            return os.pread(self._file, size, offset)
        start = offset - first * BLOCK_BYTES
        return b"".join(self._block(block) for block in range(first, end))[start : start + size]

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes to the cache."""
        place = 0
        while place < len(data):
            block, start = divmod(offset + place, BLOCK_BYTES)
            piece = data[place : place + BLOCK_BYTES - start]
            if len(piece) < BLOCK_BYTES:
                old = self._block(block)
                self._cache[block] = old[:start] + piece + old[start + len(piece) :]
            else:
                self._cache[block] = piece
            place += len(piece)

    def flush(self) -> None:
        """Write the cache to the image."""
        for block, data in self._cache.items():
            os.pwrite(self._file, data, block * BLOCK_BYTES)
        self._cache.clear()

    def cut(self, copy: Path, rng: random.Random) -> PowerCut:
        """Make the image that a power cut at this instant leaves: with none or any part of what is not flushed."""
        command = ["cp", "--sparse=always", str(self._image), str(copy)]
        subprocess.run(command, check=True)
        share = rng.choice((0.0, 0.2, 0.5, 0.9))
        kept = [block for block in self._cache if rng.random() < share]
        with copy.open("r+b") as file:
            for block in kept:
                os.pwrite(file.fileno(), self._cache[block], block * BLOCK_BYTES)
        return PowerCut(unflushed=len(self._cache), kept=len(kept))

    def _block(self, block: int) -> bytes:
        return self._cache.get(block) or os.pread(self._file, BLOCK_BYTES, block * BLOCK_BYTES)


def serve(image: Path, folder: Path, orders: Connection) -> None:
    """Serve the image as a file in ``folder`` until its file system is unmounted; to be run in a separate process.

    It sends None once it serves. The order (copy, seed) cuts the power: it sends a PowerCut, and continues when it
    receives anything.
    """
    die_with_parent()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the interrupted parent unmounts first, and needs the disk for that
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if _LIBC.mount(b"disk", bytes(folder), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), f"{folder} cannot be mounted")
    server = _Server(VolatileImage(image), device)
    orders.send(None)
    while True:
        ready, _, _ = select.select([device, orders.fileno()], [], [])
        if device in ready and not server.answer_one():
            return
        if orders.fileno() in ready:
            try:
                copy, seed = orders.recv()
            except EOFError:
                return
            orders.send(server.image.cut(copy, random.Random(seed)))
            orders.recv()


class _Server:
    """Speaks the part of linux/fuse.h (7.31) that a loop device needs."""

    def __init__(self, image: VolatileImage, device: int) -> None:
        self.image = image
        self._device = device

    def answer_one(self) -> bool:
        """Answer one request; False once the file system is unmounted."""
        try:
            request = os.read(self._device, _MOST_BYTES + BLOCK_BYTES)
        except (OSError, ValueError):
            return False
        _, code, unique, node = struct.unpack_from("<IIQQ", request)
        if code in _UNANSWERED:
            return True
        answer = self._answer(code, node, request[40:])
        error, body = (-_NO_SUCH_CALL, b"") if answer is None else (0, answer)
        os.write(self._device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        return True

    def _answer(self, code: int, node: int, body: bytes) -> bytes | None:
        if code == _READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return self.image.read(offset, size)
        if code == _WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            self.image.write(offset, body[40 : 40 + size])
            return struct.pack("<II", size, 0)
        if code == _FSYNC:
            self.image.flush()
            return b""
        return self._about(code, node)

    def _about(self, code: int, node: int) -> bytes | None:
        if code == _INIT:
            return struct.pack(
                "<IIIIHHIIHHI28x", 7, 31, 0, _BIG_WRITES | _MAX_PAGES, 0, 0, _MOST_BYTES, 1, 256, 0, 0
            )
        if code == _LOOKUP:
            return struct.pack("<QQQQII", _FILE_NODE, 0, 3600, 3600, 0, 0) + self._attributes(_FILE_NODE)
        if code in (_GETATTR, _SETATTR):
            return struct.pack("<QII", 3600, 0, 0) + self._attributes(node)
        if code == _OPEN:
            return struct.pack("<QII", 0, _DIRECT_IO, 0)
        return b"" if code in (_RELEASE, _FLUSH) else None

    def _attributes(self, node: int) -> bytes:
        is_root = node == _ROOT_NODE
        mode = stat.S_IFDIR | 0o700 if is_root else stat.S_IFREG | 0o600
        size = 0 if is_root else self.image.size_bytes
        return struct.pack("<6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 512, 0)


def can_serve() -> str:
    """Say why this machine cannot have such a disk; empty if it can."""
    if os.geteuid() != 0:
        return "only root may mount a loop device"
    for needed in ("/dev/fuse", "/dev/loop-control"):
        if not Path(needed).exists():
            return f"{needed} is missing"
    missing = [name for name in ("losetup", "mount", "umount") if shutil.which(name) is None]
    return f"{missing[0]} is not installed" if missing else ""

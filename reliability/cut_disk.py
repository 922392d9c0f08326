"""A journaled file system on a disk whose power can be cut (reliability/volatile_disk.py)."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from reliability.roles import forking_context
from reliability.volatile_disk import DEVICE, PowerCut, can_serve, serve

_MB = 1 << 20
_READY_WITHIN_S = 30.0


class NoSuchDisk(Exception):
    """This machine cannot mount such a disk; the message says why."""


FILE_SYSTEMS = {  # options to make it, the size it needs, options to mount it: only a sync writes anything to the disk
    "ext4": (("-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"), 256 * _MB, "commit=300"),
    "xfs": (("-q", "-f", "-K"), 400 * _MB, "defaults"),
    "btrfs": (("-q", "-f", "-K"), 400 * _MB, "commit=300"),
}


class CutDisk:
    """A mounted disk."""

    def __init__(self, folder: Path, orders: Connection) -> None:
        self.folder = folder
        self._orders = orders

    def cut(self, copy: Path, seed: int, kill: Callable[[], None]) -> PowerCut:
        """Cut the power, and kill the disk's user while it stands still; ``copy`` is the disk after the cut."""
        self._orders.send((copy, seed))
        found = self._orders.recv()
        kill()
        self._orders.send(None)
        assert isinstance(found, PowerCut)
        return found


def make_image(image: Path, kind: str) -> None:
    """Make an image file with an empty file system; raise NoSuchDisk if this machine cannot."""
    reason = can_serve()
    if not reason and shutil.which(f"mkfs.{kind}") is None:
        reason = f"mkfs.{kind} is not installed"
    if reason:
        raise NoSuchDisk(reason)
    options, size, _ = FILE_SYSTEMS[kind]
    with image.open("wb") as file:
        file.truncate(size)
    _run(f"mkfs.{kind}", *options, str(image))


def copy_image(image: Path, copy: Path) -> None:
    """Copy an image file; its empty parts take no space."""
    _run("cp", "--sparse=always", str(image), str(copy))


@contextmanager
def mounted(image: Path, kind: str, place: Path) -> Iterator[CutDisk]:
    """Mount the image's file system in a folder under ``place`` until the context ends, however it ends."""
    below, folder = place / "device", place / "disk"
    below.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        orders = stack.enter_context(_served(image, below))
        loop = _run("losetup", "--find", "--show", str(below / DEVICE)).strip()
        stack.callback(_run, "losetup", "--detach", loop)
        cache = Path(f"/sys/block/{Path(loop).name}/queue/write_cache").read_text(encoding="ascii").strip()
        if cache != "write back":
            raise NoSuchDisk(f"{loop} is not flushed by the kernel (write_cache: {cache})")
        try:
            _run("mount", "-t", kind, "-o", FILE_SYSTEMS[kind][2], loop, str(folder))
        except subprocess.CalledProcessError as error:
            raise NoSuchDisk(f"{kind} cannot be mounted: {error.stderr.strip()}") from error
        stack.callback(_unmount, folder)
        yield CutDisk(folder, orders)


@contextmanager
def _served(image: Path, folder: Path) -> Iterator[Connection]:
    context = forking_context()
    orders, theirs = context.Pipe()
    process = context.Process(target=serve, args=(image, folder, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not orders.poll(_READY_WITHIN_S):
            raise NoSuchDisk("the disk's process did not start")
        orders.recv()
        yield orders
    finally:
        _unmount(folder)
        orders.close()
        process.join(_READY_WITHIN_S)
        if process.is_alive():
            process.kill()
            process.join()


def _unmount(folder: Path) -> None:
    if not folder.is_mount():
        return
    try:
        _run("umount", str(folder))
    except subprocess.CalledProcessError:  # a process has a file open there: it is unmounted once that ends
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout

"""Files before they are complete: written under a temporary name and a lock, and renamed once nothing is missing."""

import ctypes
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from service.store.errors import StorageFull, StorageUnavailable

_SYNC_FILE_RANGE_WRITE = 2  # linux/fs.h
_WORTH_BEGINNING_BYTES = 64 * 1024
_sync_file_range = ctypes.CDLL(None).sync_file_range
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def write_json(file: Path, tree: Mapping[str, object]) -> None:
    """Write JSON that only this user can read, durably; a reader sees either the old file or the new one, complete.

    Raises:
        StorageUnavailable: it cannot be written.
    """
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with translated(f"{file} cannot be written"):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(tree, indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
        sync(file.parent)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's names, durable; OSError if the disk refuses."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_locked(part: str) -> int:
    """Create a part file whose lock shows a starting process that somebody is writing it."""
    try:
        while True:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                return descriptor
            os.close(descriptor)  # a process that started at this moment took it for an orphan
    except OSError as error:
        raise translation("an object cannot be written", error) from error


def fill(descriptor: int, header: bytes, chunks: Iterable[bytes | memoryview]) -> "tuple[int, hashlib._Hash]":
    """Write everything; only what the disk raises is translated, not what the sender's iterator raises."""
    digest = hashlib.sha256()
    size_bytes = 0
    for chunk in chunks:
        written = _write_all(descriptor, chunk, header if not size_bytes else b"")
        _begin_writeback(descriptor, size_bytes, written)
        digest.update(chunk)
        size_bytes += written
    return size_bytes or _write_all(descriptor, header), digest


def linked(part: str, place: str, size_bytes: int) -> bool:
    """Give the part file its second name, unless a file of the same size has it; one of another size is replaced."""
    while True:
        try:
            os.link(part, place)
        except FileExistsError:
            with suppress(FileNotFoundError):  # it was removed just now: ours can have the name
                if Path(place).stat().st_size == size_bytes:
                    os.utime(place)  # it is wanted again: FileStore.remove() looks at this time
                    return False
                Path(part).replace(place)
                return True
        else:
            return True


def unlink(file: str) -> None:
    """Remove a file that may be gone."""
    try:
        os.unlink(file)  # noqa: PTH108 - once a received slice: a Path costs more than the call
    except FileNotFoundError:
        return
    except OSError as error:
        raise translation(f"the file {file} cannot be removed", error) from error


def _write_all(descriptor: int, data: bytes | memoryview, header: bytes = b"") -> int:
    """Write the header and the data, in one call if the system accepts all of it."""
    size_bytes = len(header) + len(data)
    try:
        written = os.writev(descriptor, (header, data)) if header else os.write(descriptor, data)
        while written < size_bytes:
            left = header[written:] if written < len(header) else data[written - len(header) :]
            written += os.write(descriptor, left)
    except OSError as error:
        raise translation("a received object cannot be written", error) from error
    return written


def _begin_writeback(descriptor: int, offset: int, size_bytes: int) -> None:
    """Let the disk begin writing while the checksum is computed; the sync that follows waits for it."""
    if size_bytes >= _WORTH_BEGINNING_BYTES:
        _sync_file_range(
            descriptor, offset, size_bytes, _SYNC_FILE_RANGE_WRITE
        )  # a hint: it does not matter if it fails


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on; empty if the system does not tell."""
    place, found = folder.resolve(), (-1, "")
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        mount_point = Path(before.split()[4].replace("\\040", " "))
        if place.is_relative_to(mount_point) and len(mount_point.parts) >= found[0]:
            found = (len(mount_point.parts), after.split()[0])
    return found[1]


def remove_if_orphan(part: Path) -> bool:
    """Remove a part file whose writer is gone, and with it the writer's lock."""
    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the errors of a full or broken disk into the store's errors."""
    try:
        yield
    except OSError as error:
        raise translation(what, error) from error


def translation(what: str, error: OSError) -> StorageUnavailable:
    """Return the store's error for an error of a full or broken disk."""
    kind = StorageFull if error.errno in FULL else StorageUnavailable
    return kind(f"{what}: {error.strerror}")

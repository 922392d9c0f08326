"""Files that are durable before anybody is told so. Paths are made from hashes, never from what a sender says."""

import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import time
from typing import BinaryIO

from service.store.errors import FileDamaged, FileLost, StorageFull, StorageUnavailable
from service.store.rows import StoredFile

OBJECTS = "objects"
PARTS = "parts"
PATH = re.compile(r"objects/[0-9a-f]{2}/[0-9a-f]{40}-[0-9a-f]{40}\.dcm")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What a start found in the storage folder."""

    removed_parts: tuple[str, ...]
    files_without_row: tuple[str, ...]


class FileStore:
    """A folder of immutable files; several processes may write to it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        with translated(f"the storage folder {root} cannot be made"):
            for folder in (PARTS, *(f"{OBJECTS}/{number:02x}" for number in range(256))):
                (self._root / folder).mkdir(parents=True, exist_ok=True)
            for folder in (OBJECTS, "", ".."):
                _sync_folder(self._root / folder)

    def put(self, uid: str, data: bytes | Iterable[bytes], *, header: bytes = b"") -> StoredFile:
        """Write header and data as they are and return once both outlast a power cut.

        The same uid with the same bytes lands on the same path. A file must not be removed because the database
        failed afterwards: the row may have been kept.

        Raises:
            StorageFull: no space, over quota, or a read-only file system.
            StorageUnavailable: any other failure of the disk.
        """
        part = self._root / PARTS / f"{secrets.token_hex(16)}.part"
        with translated("a received object cannot be written"):
            descriptor = _open_locked(part)
        try:
            size_bytes, digest = _fill(descriptor, header, (data,) if isinstance(data, bytes) else data)
            with translated("a received object cannot be made durable"):
                os.fsync(descriptor)
                path = _path(uid, digest.copy(), header)
                part.rename(self._root / path)
                _sync_folder((self._root / path).parent)
        finally:
            os.close(descriptor)
            with translated("a part file cannot be removed"):
                part.unlink(missing_ok=True)  # it was renamed, unless something went wrong
        return StoredFile(
            path=path, size_bytes=size_bytes, sha256=digest.hexdigest(), header_bytes=len(header)
        )

    def open(self, path: str) -> BinaryIO:
        """Open a stored file for reading, by the path in its row."""
        place = self._place(path)
        try:
            return place.open("rb")
        except FileNotFoundError as error:
            raise FileLost(f"the file {path} is not in the storage folder any more") from error
        except OSError as error:
            raise StorageUnavailable(f"the file {path} cannot be read: {error.strerror}") from error

    def read(self, path: str) -> bytes:
        """Give the bytes of a stored file."""
        with self.open(path) as file, translated(f"the file {path} cannot be read"):
            return file.read()

    def discard(self, file: StoredFile) -> None:
        """Remove a file that no row names (the answer to Outcome.CONFLICT)."""
        with translated(f"the file {file.path} cannot be removed"):
            self._place(file.path).unlink(missing_ok=True)

    def remove(self, path: str, *, marked_at: datetime) -> bool:
        """Unlink a file whose row is marked as removed since then; False, and it stays, where it was written later.

        The same image sent again lands on the same path, perhaps at this moment: it is put aside first and looked at.
        """
        place, aside = self._place(path), self._root / PARTS / f"{secrets.token_hex(16)}.part"
        with translated(f"the file {path} cannot be removed"):
            try:
                if place.stat().st_mtime > marked_at.timestamp():
                    return False
                place.rename(aside)
            except FileNotFoundError:
                return True
            if aside.stat().st_mtime > marked_at.timestamp():
                with suppress(FileExistsError):
                    os.link(aside, place)
                aside.unlink()
                return False
            aside.unlink()
        return True

    def verify(self, file: StoredFile, *, pace: Callable[[int], None] = lambda _: None) -> bool:
        """Tell whether the file is there with its size and checksum, as the disk has it rather than the page cache.

        Args:
            file: what its row says.
            pace: is told the size in bytes of each piece that was read, and may wait.
        """
        digest = hashlib.sha256()
        try:
            with self.open(file.path) as stream, translated(f"the file {file.path} cannot be read"):
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                size_bytes = len(stream.read(file.header_bytes))
                while chunk := stream.read(CHUNK_BYTES):
                    size_bytes += len(chunk)
                    digest.update(chunk)
                    pace(len(chunk))
        except FileLost:
            return False
        return size_bytes == file.size_bytes and digest.hexdigest() == file.sha256

    def read_whole(self, file: StoredFile) -> bytes:
        """Give the bytes of a stored file that are what was kept; FileDamaged where they are not."""
        try:
            data = self.read(file.path)
        except FileLost as error:
            raise FileDamaged(f"the file {file.path} is missing", file.path) from error
        if len(data) != file.size_bytes or _sha256(data, file.header_bytes) != file.sha256:
            raise FileDamaged(f"the file {file.path} is not what was kept: its checksum differs", file.path)
        return data

    def recover(
        self, known: Callable[[Collection[str]], Collection[str]], *, min_age_s: float = 60
    ) -> Recovery:
        """Remove part files that no process writes any more; list files without a row, older than min_age_s.

        Args:
            known: gives those of some paths that a row names (JobBook.known_files).
            min_age_s: younger files are left out: their row may be on its way.
        """
        with translated(f"the storage folder {self._root} cannot be read"):
            removed = tuple(
                part.name for part in sorted((self._root / PARTS).iterdir()) if _remove_if_orphan(part)
            )
            without_row: list[str] = []
            for folder in sorted((self._root / OBJECTS).iterdir()):
                paths = {
                    f"{OBJECTS}/{folder.name}/{file.name}"
                    for file in folder.iterdir()
                    if _age_s(file) >= min_age_s
                }
                without_row += sorted(paths - set(known(paths))) if paths else []
        return Recovery(removed_parts=removed, files_without_row=tuple(without_row))

    def _place(self, path: str) -> Path:
        if not PATH.fullmatch(path):
            raise ValueError(f"{path!a} is not the path of a stored file")
        return self._root / path


def _open_locked(part: Path) -> int:
    """Make a part file whose lock tells a starting process that somebody is writing it."""
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _fill(descriptor: int, header: bytes, chunks: Iterable[bytes]) -> "tuple[int, hashlib._Hash]":
    """Write everything; only what the disk raises is translated, not what the sender's iterator raises."""
    digest = hashlib.sha256()
    size_bytes = _write_all(descriptor, header)
    for chunk in chunks:
        size_bytes += _write_all(descriptor, chunk)
        digest.update(chunk)
    return size_bytes, digest


def _path(uid: str, digest: "hashlib._Hash", header: bytes) -> str:
    """Name the whole file by its uid and its bytes: two different files never share a path."""
    digest.update(header)
    who = hashlib.sha256(uid.encode()).hexdigest()[:40]
    return f"{OBJECTS}/{who[:2]}/{who}-{digest.hexdigest()[:40]}.dcm"


def _sha256(data: bytes, start: int) -> str:
    return hashlib.sha256(memoryview(data)[start:]).hexdigest()


def _write_all(descriptor: int, data: bytes) -> int:
    rest = memoryview(data)
    with translated("a received object cannot be written"):
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return len(data)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_orphan(part: Path) -> bool:
    """Remove a part file whose writer is gone, and with it the writer's lock."""
    try:
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


def _age_s(file: Path) -> float:
    return time() - file.stat().st_mtime


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what a full or broken disk raises into the store's errors."""
    try:
        yield
    except OSError as error:
        kind = StorageFull if error.errno in FULL else StorageUnavailable
        raise kind(f"{what}: {error.strerror}") from error

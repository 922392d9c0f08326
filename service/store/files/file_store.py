"""A store of files that returns only once a file is durable.

Paths are made from hashes, never from what a sender says.
"""

import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO

from service.store.errors import FileDamaged, FileLost, StorageUnavailable
from service.store.files.checksums import is_whole, require_whole
from service.store.files.part_files import (
    file_system,
    fill,
    linked,
    open_locked,
    remove_if_orphan,
    translated,
    translation,
    unlink,
)
from service.store.records import StoredFile

OBJECTS = "objects"
PARTS = "parts"
UNVERIFIED = "unverified"
# File systems whose journal makes a file's name durable together with the file (docs/decisions/0009); on others, the
# folder must be synced.
NAMES_WITH_FILES = frozenset({"ext4", "xfs"})
PATH = re.compile(r"objects/[0-9a-f]{2}/[0-9a-f]{40}-[0-9a-f]{40}\.dcm")


class FileStore:
    """A folder of immutable files; several processes may write to it at once."""

    def __init__(self, root: Path, *, sync: Callable[[int], None] = os.fsync) -> None:
        """``sync`` brings an open file or folder to the disk."""
        self._root = root.absolute()
        self._sync = sync
        self._writer = secrets.token_hex(16)  # unique to this process
        self._parts = count()
        with translated(f"the storage folder {root} cannot be created"):
            is_first = not (self._root / OBJECTS).exists()
            for folder in (PARTS, UNVERIFIED, *(f"{OBJECTS}/{number:02x}" for number in range(256))):
                (self._root / folder).mkdir(parents=True, exist_ok=True)
            for folder in (OBJECTS, "", ".."):
                self._sync_folder(self._root / folder)
            self._syncs_folders = file_system(self._root) not in NAMES_WITH_FILES
            if (
                is_first and self._syncs_folders
            ):  # also the folders above, and a database created a moment ago
                os.sync()

    @property
    def root(self) -> Path:
        """The storage folder."""
        return self._root

    def put(self, uid: str, data: bytes | Iterable[bytes | memoryview], *, header: bytes = b"") -> StoredFile:
        """Write header and data as they are and return once both would survive a power cut.

        The same uid with the same data has one path, whatever the header: the first file stays (is_new is then
        False). All headers of one uid must have the same length. Do not remove a file because the database failed
        afterwards: its row may have been kept.

        Raises:
            StorageFull: no space, over quota, or a read-only file system.
            StorageUnavailable: any other failure of the disk.
        """
        part = f"{self._root}/{PARTS}/{self._writer}-{next(self._parts)}.part"
        descriptor = open_locked(part)
        try:
            size_bytes, digest = fill(descriptor, header, (data,) if isinstance(data, bytes) else data)
            sha256 = digest.hexdigest()
            path = path_of(uid, sha256)
            is_new = self._publish(part, path, descriptor, size_bytes)
        except BaseException:
            unlink(part)
            raise
        finally:
            os.close(descriptor)
        return StoredFile(
            path=path,
            size_bytes=size_bytes,
            sha256=sha256,
            header_bytes=len(header),
            is_new=is_new,
        )

    def open(self, path: str) -> BinaryIO:
        """Open a stored file for reading, by the path in its row."""
        place = self._place(path)
        try:
            return place.open("rb")
        except FileNotFoundError as error:
            raise FileLost(f"the file {path} is no longer in the storage folder") from error
        except OSError as error:
            raise StorageUnavailable(f"the file {path} cannot be read: {error.strerror}") from error

    def read(self, path: str) -> bytes:
        """Return the bytes of a stored file."""
        with self.open(path) as file, translated(f"the file {path} cannot be read"):
            return file.read()

    def discard(self, file: StoredFile) -> None:
        """Remove a file that no row names, after RecordOutcome.CONFLICT or OTHER_SYNTAX."""
        with translated(f"the file {file.path} cannot be removed"):
            self._place(file.path).unlink(missing_ok=True)

    def remove(self, path: str, *, marked_at: datetime) -> bool:
        """Unlink a file whose row was marked as removed at that time; False, and it stays, if it was written later.

        The same image sent again has the same path, perhaps at this moment: so the file is moved aside and checked.
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
        """Tell whether the file is there with its size and checksum, read from the disk rather than the page cache.

        ``pace`` is called with the size in bytes of each piece read; it may wait.
        """
        try:
            with self.open(file.path) as stream, translated(f"the file {file.path} cannot be read"):
                return is_whole(stream, file, pace)
        except FileLost:
            return False

    def read_whole(self, file: StoredFile) -> bytes:
        """Return the bytes of a stored file; raise FileDamaged if it is missing or not what was stored."""
        try:
            data = self.read(file.path)
        except FileLost as error:
            raise FileDamaged(f"the file {file.path} is missing", file.path) from error
        return require_whole(data, file)

    def written_at(self, path: str) -> datetime | None:
        """Tell when a stored file was last written or sent again; None if it is gone."""
        try:
            return datetime.fromtimestamp(self._place(path).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def secure(self, path: str) -> None:
        """Return once a file that was found would survive a power cut."""
        with translated(f"the file {path} cannot be made durable"):
            self._sync_path(self._place(path))
            self._sync_folder(self._place(path).parent)

    def touch(self, path: str) -> None:
        """Keep a file that was marked as removed before from being unlinked; StorageUnavailable if it is gone."""
        with translated(f"the file {path} cannot be kept"):
            os.utime(self._place(path))

    def set_aside(self, path: str) -> Path:
        """Move a file that does not match its name to where a person can examine it; return its new path."""
        place = self._root / UNVERIFIED / Path(path).name
        with translated(f"the file {path} cannot be moved"):
            self._place(path).replace(place)
            self._sync_folder(place.parent)
            self._sync_folder(self._place(path).parent)
        return place

    def take_out(self, path: str) -> None:
        """Move a damaged file, which may be gone, out of the way of the same image sent again."""
        if self._place(path).exists():
            self.set_aside(path)

    def remove_parts(self) -> tuple[str, ...]:
        """Remove part files that no process writes any more; return their names."""
        with translated(f"the storage folder {self._root} cannot be read"):
            return tuple(
                part.name for part in sorted((self._root / PARTS).iterdir()) if remove_if_orphan(part)
            )

    def folders(self) -> Iterator[tuple[str, dict[str, os.stat_result]]]:
        """Yield each folder of files with its contents, by path."""
        with translated(f"the storage folder {self._root} cannot be read"):
            for folder in sorted((self._root / OBJECTS).iterdir()):
                prefix = f"{OBJECTS}/{folder.name}"
                with os.scandir(folder) as entries:
                    yield prefix, {f"{prefix}/{entry.name}": entry.stat() for entry in entries}

    def _publish(self, part: str, path: str, descriptor: int, size_bytes: int) -> bool:
        """Give a complete part file its name, durably; True if it is new, False if an earlier file stays."""
        place = f"{self._root}/{path}"
        is_new = True
        try:
            is_new = linked(part, place, size_bytes)
            unlink(part)
            if is_new:
                self._sync(descriptor)
            else:  # it may have just been written for another sender and not be durable yet
                self._sync_path(place)
            if self._syncs_folders or not is_new:
                self._sync_folder(place.rpartition("/")[0])
        except OSError as error:
            if is_new:
                unlink(place)
            raise translation("a received object cannot be made durable", error) from error
        return is_new

    def _sync_folder(self, folder: Path | str) -> None:
        self._sync_path(folder, os.O_DIRECTORY)

    def _sync_path(self, path: Path | str, flags: int = 0) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)

    def _place(self, path: str) -> Path:
        if not PATH.fullmatch(path):
            raise ValueError(f"{path!a} is not the path of a stored file")
        return self._root / path


def path_of(uid: str, sha256: str) -> str:
    """Return the path of a file, which depends on its uid and its data, but not on who sent it."""
    who = hashlib.sha256(uid.encode()).hexdigest()[:40]
    return f"{OBJECTS}/{who[:2]}/{who}-{sha256[:40]}.dcm"

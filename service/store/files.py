"""Files that are durable before anybody is told so. Paths are made from hashes, never from what a sender says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.store.rows import StoredFile


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What a start found in the storage folder."""

    removed_parts: tuple[str, ...]
    files_without_row: tuple[str, ...]


class FileStore:
    """A folder of immutable files; several processes may write to it at once."""

    def __init__(self, root: Path) -> None: ...

    def put(self, uid: str, data: bytes | Iterable[bytes], *, header: bytes = b"") -> StoredFile:
        """Write header and data as they are and return once both outlast a power cut.

        The same uid with the same data lands on the same path. A file must not be removed because the database
        failed afterwards: the row may have been kept.

        Raises:
            StorageFull: no space, over quota, or a read-only file system.
            StorageUnavailable: any other failure of the disk.
        """
        raise NotImplementedError

    def open(self, path: str) -> BinaryIO:
        """Open a stored file for reading, by the path in its row."""
        raise NotImplementedError

    def read(self, path: str) -> bytes:
        """Give the bytes of a stored file."""
        raise NotImplementedError

    def discard(self, file: StoredFile) -> None:
        """Remove a file that no row names (the answer to Outcome.CONFLICT)."""
        raise NotImplementedError

    def verify(self, file: StoredFile) -> bool:
        """Tell whether the file is there with its size and checksum."""
        raise NotImplementedError

    def recover(self, is_known: Callable[[str], bool], *, min_age_s: float = 60) -> Recovery:
        """Remove part files that no process writes any more; list files without a row, older than min_age_s."""
        raise NotImplementedError

"""Whatever a row names by its path: a received file, or a published object."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self

from service.store.files.file_store import FileStore
from service.store.objects.artifact_content import is_artifact_whole, read_artifact
from service.store.objects.folder_object_store import FolderObjectStore
from service.store.objects.object_store import ObjectStore, is_published
from service.store.records import StoredFile


@dataclass(frozen=True, kw_only=True)
class StoredContent:
    """The received files, and the published objects. Artifacts of earlier versions are among the received files."""

    received: FileStore
    published: ObjectStore

    @classmethod
    def in_folder(cls, root: Path) -> Self:
        """Return the content of a storage folder that holds both."""
        return cls(received=FileStore(root), published=FolderObjectStore(root))

    def open(self, path: str) -> BinaryIO:
        """Open as a seekable stream; raises FileLost if it is gone."""
        return (self.published if is_published(path) else self.received).open(path)

    def read_whole(self, file: StoredFile) -> bytes:
        """Return the bytes that were stored; raises FileDamaged if they are missing or changed."""
        if is_published(file.path):
            return read_artifact(self.published, file)
        return self.received.read_whole(file)

    def is_whole(self, file: StoredFile, *, pace: Callable[[int], None] = lambda _: None) -> bool:
        """Tell whether it is there with its size and checksum; ``pace`` as in checksums.is_whole()."""
        if is_published(file.path):
            return is_artifact_whole(self.published, file, pace=pace)
        return self.received.verify(file, pace=pace)

    def take_out(self, path: str) -> None:
        """Move a damaged received file out of the way of the same image sent again; objects are never replaced."""
        if not is_published(path):
            self.received.take_out(path)

    def remove(self, path: str, *, marked_at: datetime) -> None:
        """Remove what was marked as removed at that time; a received file that was written later stays."""
        if is_published(path):
            self.published.delete(path)
        else:
            self.received.remove(path, marked_at=marked_at)

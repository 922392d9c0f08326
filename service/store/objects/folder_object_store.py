"""The object store in the folder `artifacts` of the storage folder."""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override

from service.store.errors import FileLost
from service.store.files.file_store import PATH as OLDER_KEY
from service.store.files.part_files import open_locked, remove_if_orphan, sync, translated, unlink
from service.store.objects.object_store import ARTIFACTS, ListedObject, ObjectStore, is_published

UNFINISHED = ".unfinished"


class FolderObjectStore(ObjectStore):
    """A folder of objects; a key is the object's path relative to the storage folder.

    Earlier versions kept artifacts among the received files. Those have their path as their key: they can be read and
    deleted, but no new one is put there.
    """

    def __init__(self, root: Path) -> None:
        """``root`` is the storage folder."""
        self._root = root.absolute()
        self._folder = self._root / ARTIFACTS
        self._unfinished = self._folder / UNFINISHED
        with translated(f"the folder {self._folder} cannot be created"):
            if not self._unfinished.is_dir():
                self._unfinished.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync(self._folder)
                sync(self._root)

    @override
    def put(self, key: str, data: bytes) -> None:
        if not is_published(key):
            raise ValueError(f"{key!a} is not a key for a new object")
        place, part = self._root / key, self._unfinished / f"{secrets.token_hex(16)}.part"
        descriptor = open_locked(str(part))
        try:
            with translated(f"the object {key} cannot be made durable"):
                with os.fdopen(descriptor, "wb", closefd=False) as stream:
                    stream.write(data)
                os.fsync(descriptor)
                place.parent.mkdir(mode=0o700, exist_ok=True)
                part.replace(place)
                sync(place.parent)
                sync(self._folder)
        except BaseException:
            unlink(str(part))
            raise
        finally:
            os.close(descriptor)

    @override
    def get(self, key: str) -> bytes:
        with self.open(key) as stream, translated(f"the object {key} cannot be read"):
            return stream.read()

    @override
    def open(self, key: str) -> BinaryIO:
        place = self._place(key)
        with translated(f"the object {key} cannot be read"):
            try:
                return place.open("rb")
            except FileNotFoundError as error:
                raise FileLost(f"the object {key} is no longer in the storage folder") from error

    @override
    def exists(self, key: str) -> bool:
        place = self._place(key)
        with translated(f"the object {key} cannot be looked for"):
            return place.is_file()

    @override
    def delete(self, key: str) -> None:
        unlink(str(self._place(key)))

    @override
    def list_objects(self) -> Iterator[ListedObject]:
        with translated(f"the folder {self._folder} cannot be read"):
            for folder in sorted(self._folder.glob("[0-9a-f][0-9a-f]")):
                for place in sorted(folder.iterdir()):
                    with suppress(FileNotFoundError):
                        status = place.stat()
                        yield ListedObject(
                            key=f"{ARTIFACTS}/{folder.name}/{place.name}",
                            size_bytes=status.st_size,
                            put_at=datetime.fromtimestamp(status.st_mtime, UTC),
                        )

    @override
    def remove_unfinished(self) -> int:
        with translated(f"the folder {self._unfinished} cannot be read"):
            return sum(remove_if_orphan(part) for part in sorted(self._unfinished.iterdir()))

    def _place(self, key: str) -> Path:
        if not is_published(key) and not OLDER_KEY.fullmatch(key):
            raise ValueError(f"{key!a} is not the key of an object")
        return self._root / key

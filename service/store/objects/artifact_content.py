"""The content of artifacts: kept under a new key, and never returned if it is no longer what was stored."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service.store.errors import FileDamaged, FileLost
from service.store.files.checksums import is_whole, require_whole
from service.store.files.part_files import translated
from service.store.objects.object_store import ObjectStore, new_key
from service.store.records import StoredFile


def keep_artifact(objects: ObjectStore, data: bytes) -> StoredFile:
    """Store an object durably and return what its row must record; without a row, retention removes it again."""
    file = StoredFile(path=new_key(), size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    objects.put(file.path, data)
    return file


def read_artifact(objects: ObjectStore, file: StoredFile) -> bytes:
    """Return the bytes of an artifact; raise FileDamaged if they are missing or not what was stored."""
    try:
        return require_whole(objects.get(file.path), file)
    except FileDamaged:
        raise
    except FileLost as error:
        raise FileDamaged(str(error), file.path) from error


def is_artifact_whole(
    objects: ObjectStore, file: StoredFile, *, pace: Callable[[int], None] = lambda _: None
) -> bool:
    """Tell whether an artifact is there with its size and checksum; ``pace`` as in checksums.is_whole()."""
    try:
        with objects.open(file.path) as stream, translated(f"the object {file.path} cannot be read"):
            return is_whole(stream, file, pace)
    except FileLost:
        return False


@contextmanager
def file_in_memory(data: bytes) -> Iterator[Path]:
    """Yield a path to these bytes, for libraries that read only from paths; nothing is written to any disk."""
    descriptor = os.memfd_create("artifact")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(data)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)

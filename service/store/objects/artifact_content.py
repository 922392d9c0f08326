"""The content of artifacts: kept under a new key, and never given out where it is not what was kept."""

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
    """Put an object durably, and give what its row has to say; retention removes it again where no row ever does."""
    file = StoredFile(path=new_key(), size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    objects.put(file.path, data)
    return file


def read_artifact(objects: ObjectStore, file: StoredFile) -> bytes:
    """Give the bytes of an artifact; FileDamaged where they are missing or not what was kept."""
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
    """Give a path with these bytes, for libraries that read from paths alone; nothing is written to any disk."""
    descriptor = os.memfd_create("artifact")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(data)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)

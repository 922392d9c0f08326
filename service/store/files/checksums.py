"""Whether the bytes of a stored file are those that were stored."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from io import UnsupportedOperation
from typing import BinaryIO

from service.store.errors import FileDamaged
from service.store.records import StoredFile

CHUNK_BYTES = 1 << 20


def is_whole(stream: BinaryIO, file: StoredFile, pace: Callable[[int], None] = lambda _: None) -> bool:
    """Tell whether a stream has the size and checksum of its row, read from the disk rather than the page cache.

    Args:
        stream: from its beginning.
        file: what its row says.
        pace: called with the size in bytes of each piece read; it may wait.
    """
    with suppress(UnsupportedOperation):  # it is in memory
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    digest = hashlib.sha256()
    size_bytes = len(stream.read(file.header_bytes))
    while chunk := stream.read(CHUNK_BYTES):
        size_bytes += len(chunk)
        digest.update(chunk)
        pace(len(chunk))
    return size_bytes == file.size_bytes and digest.hexdigest() == file.sha256


def require_whole(data: bytes, file: StoredFile) -> bytes:
    """Return the bytes of a stored file; raise FileDamaged if they are not those that were stored."""
    digest = hashlib.sha256(memoryview(data)[file.header_bytes :])
    if len(data) != file.size_bytes or digest.hexdigest() != file.sha256:
        raise FileDamaged(
            f"the file {file.path} is not what was stored: its size or checksum differs", file.path
        )
    return data

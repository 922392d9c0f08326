"""An object store in memory: the second one that the contract is tested with, and one without any path."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO

from typing_extensions import override

from service.store import FileLost
from service.store.objects import ListedObject, ObjectStore
from service.store.objects.object_store import is_published


class MemoryObjectStore(ObjectStore):
    """Objects in a dictionary, each with the time of its put."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, datetime]] = {}
        self._lock = threading.Lock()

    @override
    def put(self, key: str, data: bytes) -> None:
        with self._lock:
            self._objects[_checked(key)] = (data, datetime.now(UTC))

    @override
    def get(self, key: str) -> bytes:
        with self._lock:
            if _checked(key) not in self._objects:
                raise FileLost(f"the object {key} is not there any more")
            return self._objects[key][0]

    @override
    def open(self, key: str) -> BinaryIO:
        return BytesIO(self.get(key))

    @override
    def exists(self, key: str) -> bool:
        with self._lock:
            return _checked(key) in self._objects

    @override
    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(_checked(key), None)

    @override
    def list_objects(self) -> Iterator[ListedObject]:
        with self._lock:
            found = sorted(self._objects.items())
        for key, (data, put_at) in found:
            yield ListedObject(key=key, size_bytes=len(data), put_at=put_at)

    @override
    def remove_unfinished(self) -> int:
        return 0


def _checked(key: str) -> str:
    if not is_published(key):
        raise ValueError(f"{key!a} is not the key of an object")
    return key

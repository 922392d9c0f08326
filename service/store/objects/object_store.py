"""What every object store of the node can do, and the keys under which objects are kept (docs/decisions/0042)."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

ARTIFACTS = "artifacts"
_KEY = re.compile(rf"{ARTIFACTS}/[0-9a-f]{{2}}/[0-9a-f]{{40}}\.dcm")


@dataclass(frozen=True, kw_only=True)
class ListedObject:
    """An object as a listing shows it."""

    key: str
    size_bytes: int
    put_at: datetime


class ObjectStore(Protocol):
    """Complete, durable objects under keys; safe to use from many threads and processes.

    Every method raises StorageUnavailable if the store does not answer (StorageFull if it has no room), and
    ValueError for a key that is not valid. Objects do not change: the node makes a new key for each.
    """

    def put(self, key: str, data: bytes) -> None:
        """Store an object and return once it is durable; no reader sees part of it. An earlier one is replaced."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes of an object; raises FileLost if there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Open an object as a seekable stream; raises FileLost if there is none."""
        ...

    def exists(self, key: str) -> bool:
        """Tell whether there is an object under the key."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; it is not an error if it is gone already."""
        ...

    def list_objects(self) -> Iterator[ListedObject]:
        """Yield every object under `artifacts/`, by key; one put or deleted meanwhile may be included or not."""
        ...

    def remove_unfinished(self) -> int:
        """Remove what interrupted calls of put() left behind, and return the number; what is being put now stays."""
        ...


def new_key() -> str:
    """Return a key that no other object has or ever had, so that a deletion never removes a new object."""
    name = secrets.token_hex(20)
    return f"{ARTIFACTS}/{name[:2]}/{name}.dcm"


def is_published(path: str) -> bool:
    """Tell whether a row's path is the key of a published object rather than the path of a received file."""
    return _KEY.fullmatch(path) is not None

"""What any object store of the node can do, and the keys under which objects are kept (docs/decisions/0042)."""

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
    """Whole, durable objects under keys; safe to use from many threads and processes.

    Every method raises StorageUnavailable where the store does not answer (StorageFull where it has no room), and
    ValueError for a key that is none. Objects do not change: the node makes a new key for each.
    """

    def put(self, key: str, data: bytes) -> None:
        """Return once the object outlasts a power cut; no reader sees a part of it. An earlier one is replaced."""
        ...

    def get(self, key: str) -> bytes:
        """Give the bytes of an object; raises FileLost where there is none."""
        ...

    def open(self, key: str) -> BinaryIO:
        """Open an object as a stream that can seek; raises FileLost where there is none."""
        ...

    def exists(self, key: str) -> bool:
        """Tell whether there is an object under the key."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone already is no error."""
        ...

    def list_objects(self) -> Iterator[ListedObject]:
        """Give every object under `artifacts/`, by key; one that is put or deleted meanwhile may be there or not."""
        ...

    def remove_unfinished(self) -> int:
        """Remove what interrupted puts left, and give the number; what is being put now stays."""
        ...


def new_key() -> str:
    """Return a key that no other object has, or ever had: a deletion never meets a new object."""
    name = secrets.token_hex(20)
    return f"{ARTIFACTS}/{name[:2]}/{name}.dcm"


def is_published(path: str) -> bool:
    """Tell whether a row's path is the key of a published object, and not a file among the received ones."""
    return _KEY.fullmatch(path) is not None

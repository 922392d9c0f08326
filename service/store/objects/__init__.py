"""Objects that the node made, or that were sent back to it: published under keys, wherever they are kept."""

from service.store.objects.artifact_content import (
    file_in_memory,
    keep_artifact,
    read_artifact,
)
from service.store.objects.folder_object_store import FolderObjectStore
from service.store.objects.object_store import ListedObject, ObjectStore
from service.store.objects.stored_content import StoredContent

__all__ = [
    "FolderObjectStore",
    "ListedObject",
    "ObjectStore",
    "StoredContent",
    "file_in_memory",
    "keep_artifact",
    "read_artifact",
]

"""node.json: what the storage folder records about the database that belongs to it."""

import json
from dataclasses import dataclass
from pathlib import Path

from service.store.audit.chain import TrailHead
from service.store.files.part_files import translated, write_json

NAME = "node.json"


@dataclass(frozen=True, kw_only=True)
class FolderMark:
    """Which node the folder belongs to, and how far its database had come when the mark was written."""

    identity: str
    generation: int
    trail: TrailHead  # the newest entry of the audit trail
    has_jobs: bool


def read_mark(root: Path) -> FolderMark | None:
    """Return the mark of a storage folder; None if it has none, or one that cannot be understood.

    Raises:
        StorageUnavailable: the disk cannot be read.
    """
    file = root / NAME
    with translated(f"{file} cannot be read"):
        try:
            words = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
    try:
        tree = json.loads(words)
        return FolderMark(
            identity=str(tree["identity"]),
            generation=int(tree["generation"]),
            trail=TrailHead(id=int(tree["trail"]["id"]), chain=str(tree["trail"]["chain"])),
            has_jobs=bool(tree["has_jobs"]),
        )
    except (ValueError, KeyError, TypeError):  # truncated, or changed by hand: as good as none
        return None


def write_mark(root: Path, mark: FolderMark) -> None:
    """Return once the mark would survive a power cut; a reader sees either the old one or the new one, complete.

    Raises:
        StorageUnavailable: it cannot be written.
    """
    tree = {**vars(mark), "trail": vars(mark.trail)}
    write_json(root / NAME, tree)

"""node.json: what the storage folder says of the database that belongs to it."""

import json
from dataclasses import dataclass
from pathlib import Path

from service.store.audit.chain import TrailHead
from service.store.files.part_files import translated, write_json

NAME = "node.json"


@dataclass(frozen=True, kw_only=True)
class FolderMark:
    """Which node the folder is of, and how far its database had come when the mark was written."""

    identity: str
    generation: int
    trail: TrailHead  # the newest entry of the audit trail
    has_jobs: bool


def read_mark(root: Path) -> FolderMark | None:
    """Give the mark of a storage folder; None where it has none that can be read.

    Raises:
        StorageUnavailable: the disk does not give it.
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
    except (ValueError, KeyError, TypeError):  # cut or changed by hand: as good as none
        return None


def write_mark(root: Path, mark: FolderMark) -> None:
    """Return once the mark outlasts a power cut; a reader sees the old one or the new one, whole.

    Raises:
        StorageUnavailable: it cannot be written.
    """
    tree = {**vars(mark), "trail": vars(mark.trail)}
    write_json(root / NAME, tree)

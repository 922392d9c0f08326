"""The last constancy check's result, in the storage folder: the role `monitor` notifies people if it failed."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.store.files.part_files import translated

FILE = "constancy.json"


@dataclass(frozen=True, kw_only=True)
class ConstancyRecord:
    """When the frozen cases were last contoured, whether every voxel was as before, and the result in words."""

    at: datetime
    ok: bool
    reason: str


def write_constancy(root: Path, *, ok: bool, reason: str) -> None:
    """Record a result in place of the last one."""
    content = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "ok": ok, "reason": reason}
    part = root / (FILE + ".part")
    with translated(f"the result of the constancy check cannot be written to {root}"):
        root.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(root / FILE)


def read_constancy(root: Path) -> ConstancyRecord | None:
    """Return the last result; None if no check was ever made. A damaged record is a failed check."""
    try:
        content = json.loads((root / FILE).read_text(encoding="utf-8"))
        at = datetime.fromisoformat(content["at"])
        return ConstancyRecord(at=at, ok=bool(content["ok"]), reason=str(content["reason"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"the record {root / FILE} cannot be read ({error}); run `contour-node constancy`"
        return ConstancyRecord(at=datetime.now(UTC), ok=False, reason=reason)

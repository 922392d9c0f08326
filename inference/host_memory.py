"""The memory that this host, or this process's control group, still has available for a case."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.errors import CaseTooLarge, ModelUnavailable

_GB = 1e9
_NO_LIMIT = 1 << 60  # version 1 writes a number near 2^63 for no limit


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The total memory, what is available now, and whose limit it is."""

    total_bytes: int
    available_bytes: int
    whose: str

    def admit(self, need_bytes: int, what: str) -> None:
        """Admit a case that fits. Raises ModelUnavailable where it has to wait, CaseTooLarge where it can never fit."""
        need = f"{what} needs about {need_bytes / _GB:.1f} GB of memory"
        if need_bytes > self.total_bytes:
            raise CaseTooLarge(
                f"{need}, and {self.whose} has {self.total_bytes / _GB:.1f} GB in all: give the node more memory, or send "
                "fewer or coarser slices"
            )
        if need_bytes > self.available_bytes:
            raise ModelUnavailable(
                f"{need}; {self.available_bytes / _GB:.1f} of {self.total_bytes / _GB:.1f} GB of {self.whose} are free now: "
                "it waits until they are"
            )


def host_memory(root: Path = Path("/")) -> Memory:
    """Return the tightest of the host's memory and the limits of this process's control groups (version 1 or 2)."""
    memories = [_host(root), *_groups(root)]
    return Memory(
        total_bytes=min(memory.total_bytes for memory in memories),
        available_bytes=min(memory.available_bytes for memory in memories),
        whose=min(memories, key=lambda memory: memory.available_bytes).whose,
    )


def _host(root: Path) -> Memory:
    lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    total, available = kib["MemTotal"] << 10, kib["MemAvailable"] << 10
    return Memory(total_bytes=total, available_bytes=available, whose="this host")


def _groups(root: Path) -> Iterator[Memory]:
    """Yield the limits of the process's group and of all groups that contain it; in a container, all are at the top."""
    for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield from _limits(root / "sys/fs/cgroup", path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            yield from _limits(top, path, "memory.limit_in_bytes", "memory.usage_in_bytes")


def _limits(top: Path, path: str, limit_file: str, used_file: str) -> Iterator[Memory]:
    inner = top / path.lstrip("/")
    for folder in (inner, *inner.parents):
        limit = _number(folder / limit_file)
        if limit is not None and limit < _NO_LIMIT:
            used = (_number(folder / used_file) or 0) - _reclaimable(folder)
            whose = f"the control group {folder}"
            yield Memory(total_bytes=limit, available_bytes=max(0, limit - used), whose=whose)
        if folder == top:
            return


def _number(file: Path) -> int | None:
    """Return the number in a file; None where the file does not exist or says "max"."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _reclaimable(folder: Path) -> int:
    """Return the bytes of cached files, which the kernel reclaims before it ends a process."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    numbers = {name: int(value) for name, value in (line.split() for line in lines)}
    return numbers.get("total_inactive_file", numbers.get("inactive_file", 0))

"""What fuzzing found: the input, in a file, and how to see it again."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Find:
    """One input after which something was wrong."""

    target: str
    what: str
    data: bytes
    seed: int
    number: int

    @property
    def kind(self) -> str:
        """What finds have in common that are most likely the same fault."""
        return f"{self.target} {self.what.split(':')[0]}{''.join(self.what.split(':')[1:2])}"

    def line(self, path: Path) -> str:
        """Return what was found and how to repeat it."""
        return f"{self.target}: {self.what}\n    repeat: python -m reliability.fuzz --again {path}"


def save(finds: list[Find], folder: Path) -> list[str]:
    """Write each find's input as TARGET-SEED-NUMBER.bin, and all lines to finds.txt; return the lines."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for find in finds:
        path = folder / f"{find.target}-{find.seed}-{find.number}.bin"
        path.write_bytes(find.data)
        lines.append(find.line(path))
    (folder / "finds.txt").write_text("\n".join([*lines, ""]))
    return lines

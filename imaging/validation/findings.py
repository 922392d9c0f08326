"""What is wrong with a file: where, what was expected and found, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pydicom.datadict import keyword_for_tag

Step = tuple[int, int]
Path = tuple[Step, ...]
"""The sequences and items that lead to an element: tag and item number from 1, with 0 for the element itself."""


class Severity(StrEnum):
    """Whether a destination is likely to refuse or misread the file, or may only stumble over it."""

    ERROR = "error"
    WARNING = "warning"


class FindingText(NamedTuple):
    """The four parts of a message."""

    what: str
    expected: str
    found: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class ValidationFinding:
    """One thing that is wrong, reported once, at its first place, with how often it occurs.

    `code` is stable and for programs. `path` leads to the attribute, items counted from 1, and ends with its tag.
    """

    severity: Severity
    code: str
    path: str
    what: str
    expected: str
    found: str
    remedy: str
    count: int = 1

    @property
    def message(self) -> str:
        """What is wrong, what was expected and found, and what to do; without the place."""
        more = f" ({self.count} times, here the first)" if self.count > 1 else ""
        return f"{self.what}{more}: expected {self.expected}, found {self.found}. {self.remedy}."

    @property
    def line(self) -> str:
        """The finding as one line for people."""
        return f"{self.severity}: {self.path}: {self.message}"


class FindingLog:
    """Collects findings; the same code at the same attribute in the same group is one finding."""

    def __init__(self) -> None:
        """Start without findings."""
        self._found: dict[tuple[str, int, str], tuple[ValidationFinding, int]] = {}

    def error(self, code: str, path: Path, words: FindingText, group: str = "") -> None:
        """Report something that a destination is likely to refuse or misread."""
        self.report(Severity.ERROR, code, path, words, group)

    def warning(self, code: str, path: Path, words: FindingText, group: str = "") -> None:
        """Report something that a destination may stumble over."""
        self.report(Severity.WARNING, code, path, words, group)

    def report(self, severity: Severity, code: str, path: Path, words: FindingText, group: str = "") -> None:
        """Report at this severity; the text of the first of each kind is kept."""
        key = (code, path[-1][0] if path else 0, group)
        if key in self._found:
            first, count = self._found[key]
            self._found[key] = (first, count + 1)
            return
        finding = ValidationFinding(severity=severity, code=code, path=path_text(path), **words._asdict())
        self._found[key] = (finding, 1)

    def findings(self) -> tuple[ValidationFinding, ...]:
        """Return everything reported, errors first, otherwise in the order of reporting."""
        found = [
            ValidationFinding(**{**vars(first), "count": count}) if count > 1 else first
            for first, count in self._found.values()
        ]
        return tuple(sorted(found, key=lambda finding: finding.severity is Severity.WARNING))


def path_text(path: Path) -> str:
    """Return the path as keywords, with item numbers from 1 in brackets and the last one's tag."""
    if not path:
        return "file"
    steps = [f"{_name(tag)}[{item}]" if item else _name(tag) for tag, item in path]
    return f"{'.'.join(steps)} {tag_text(path[-1][0])}"


def tag_text(tag: int) -> str:
    """Return the tag as (gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _name(tag: int) -> str:
    return keyword_for_tag(tag) or f"unknown{tag_text(tag)}"

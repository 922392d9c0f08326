"""ROI names to structure codes by a table that a person reviews: names.csv."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imaging.atomic_files import atomic_file
from imaging.structure_matching import How, match
from imaging.structures import CATALOGUE
from training.preparation.errors import PreparationRefused

NAMES_FILE = "names.csv"
_FIELDS = ("roi_name", "structure", "rule", "seen")
_IGNORED = "-"


@dataclass(frozen=True, kw_only=True)
class NameRow:
    """One row: an ROI name (or ``/regular expression/``), its structure ('' unknown, '-' ignored), and why."""

    roi_name: str
    structure: str
    rule: str
    seen: int = 0


class NameTable:
    """What each ROI name means; exact names come before regular expressions."""

    def __init__(self, rows: Sequence[NameRow], file: Path) -> None:
        """Check every row. Raises PreparationRefused with file and row."""
        self.rows = tuple(rows)
        self._exact: dict[str, str] = {}
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for number, row in enumerate(rows, 2):
            _check(row, f"{file}, line {number}")
            if row.roi_name.startswith("/"):
                self._patterns.append((re.compile(row.roi_name[1:-1], re.IGNORECASE), row.structure))
            elif self._exact.setdefault(row.roi_name, row.structure) != row.structure:
                raise PreparationRefused(
                    f"{file}, line {number}: {row.roi_name!r} occurs twice, with two meanings"
                )

    def structure(self, roi_name: str) -> str | None:
        """Return the structure that a name means, or None."""
        known = self._exact.get(roi_name)
        if not known:
            known = next((code for pattern, code in self._patterns if pattern.fullmatch(roi_name)), "")
        return known if known and known != _IGNORED else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """The names without a meaning so far."""
        return tuple(
            row.roi_name for row in self.rows if not row.structure and self.structure(row.roi_name) is None
        )

    @property
    def structures(self) -> tuple[str, ...]:
        """All structures that any seen name means, in the catalogue's order."""
        named = {self.structure(row.roi_name) for row in self.rows if row.seen} - {None}
        return tuple(code for code in CATALOGUE if code in named)


def names_table(seen: Iterable[tuple[str, int]], dataset: Path) -> NameTable:
    """Return the dataset's table, extended by names that it lacks, and write it back for review.

    An existing row keeps its meaning; its count is updated. New names are matched by TG-263 name, code or alias;
    one that is merely similar is proposed in `rule` and stays unknown until a person decides.
    """
    file = dataset / NAMES_FILE
    there = _read(file)
    NameTable(there, file)
    old = {row.roi_name: row for row in there}
    counts = dict(seen)
    rows = [row if row.roi_name.startswith("/") else _counted(row, counts) for row in old.values()]
    rows += [_proposed(name, count) for name, count in counts.items() if name not in old]
    table = NameTable(rows, file)
    _write(file, rows)
    return table


def _counted(row: NameRow, counts: Mapping[str, int]) -> NameRow:
    return NameRow(
        roi_name=row.roi_name, structure=row.structure, rule=row.rule, seen=counts.get(row.roi_name, 0)
    )


def _proposed(name: str, count: int) -> NameRow:
    found = match(name, None, CATALOGUE)
    if found.is_certain:
        return NameRow(roi_name=name, structure=found.code or "", rule=str(found.how), seen=count)
    rule = f"similar to {found.code}" if found.how is How.SIMILAR else "unknown"
    return NameRow(roi_name=name, structure="", rule=rule, seen=count)


def _check(row: NameRow, where: str) -> None:
    if row.structure not in ("", _IGNORED, *CATALOGUE):
        raise PreparationRefused(
            f"{where}: no structure {row.structure!r} in the catalogue; write one of its codes, '-' to ignore the name, "
            "or nothing"
        )
    if row.roi_name.startswith("/"):
        if len(row.roi_name) < 3 or not row.roi_name.endswith("/"):
            raise PreparationRefused(
                f"{where}: a regular expression is written between two slashes, not {row.roi_name!r}"
            )
        try:
            re.compile(row.roi_name[1:-1])
        except re.error as error:
            raise PreparationRefused(
                f"{where}: {row.roi_name} is not a regular expression: {error}"
            ) from error


def _read(file: Path) -> list[NameRow]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8-sig") as rows:
        reader = csv.DictReader(rows)
        lacking = set(_FIELDS[:2]) - set(reader.fieldnames or ())
        if lacking:
            raise PreparationRefused(
                f"{file} lacks the column(s) {', '.join(sorted(lacking))} in its first line"
            )
        return [
            NameRow(
                roi_name=row["roi_name"],
                structure=(row["structure"] or "").strip(),
                rule=row.get("rule") or "by hand",
            )
            for row in reader
        ]


def _write(file: Path, rows: Iterable[NameRow]) -> None:
    with atomic_file(file) as part, part.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(_FIELDS)
        writer.writerows((row.roi_name, row.structure, row.rule, row.seen) for row in rows)

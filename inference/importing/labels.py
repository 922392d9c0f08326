"""The maker's names of structures as codes of the catalogue: a table that is proposed, shown, and edited as CSV.

Columns: ``label``, the maker's name; ``code``, of the catalogue or the model's own; empty: the structure is left out;
``name``, as written to structure sets, where the catalogue lacks the code; ``recognised``: the basis of the proposal.
"""

import colorsys
import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from imaging.sides import bare, sides_of
from imaging.structure_matching import certain_match
from imaging.structures import CATALOGUE, TOTALSEGMENTATOR
from inference.errors import ImportRefused

COLUMNS = ("label", "code", "name", "recognised")
_OWN = "not in the catalogue"
_LONGEST_NAME = 16


@dataclass(frozen=True, kw_only=True)
class LabelRow:
    """One line of the table."""

    label: str
    code: str
    name: str
    recognised: str

    @property
    def is_own(self) -> bool:
        """Whether the model defines the structure itself."""
        return self.code not in CATALOGUE


def proposed(labels: Iterable[str]) -> tuple[LabelRow, ...]:
    """Propose a row for each of the maker's names; a merely similar name is never accepted as a match."""
    rows: list[LabelRow] = []
    for label in labels:
        code, how = _recognised(label)
        if code is None or any(row.code == code for row in rows):
            rows.append(_own(label, [row.code for row in rows], [row.name for row in rows]))
        else:
            known = CATALOGUE[code]
            how += "" if known.is_tg263 else "; TG-263 has none"
            rows.append(LabelRow(label=label, code=code, name=known.name, recognised=how))
    return tuple(rows)


def read_table(file: Path, labels: Sequence[str]) -> tuple[LabelRow, ...]:
    """Read an edited table; ImportRefused where it does not give each of the model's labels one valid code."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = [
                LabelRow(**{key: (row.get(key) or "").strip() for key in COLUMNS})
                for row in csv.DictReader(text)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImportRefused(f"{file}: cannot be read as a table: {error}") from error
    by_label = {row.label: row for row in rows}
    if sorted(by_label) != sorted(labels) or len(rows) != len(by_label):
        raise ImportRefused(
            f"{file}: must have one line for each label of the model; different are: "
            f"{', '.join(sorted(set(by_label) ^ set(labels))) or 'repeated lines'}"
        )
    for row in rows:
        _expect_sound(file, row)
    codes = [row.code for row in rows if row.code]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice or not codes:
        raise ImportRefused(
            f"{file}: {'no structure is left' if not codes else f'codes stand twice: {twice}'}"
        )
    return tuple(by_label[label] for label in labels)


def write_table(file: Path, rows: Iterable[LabelRow]) -> None:
    """Write a table to edit; a file that exists is never replaced."""
    with file.open("x", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows([row.label, row.code, row.name, row.recognised] for row in rows)


def structure_entries(rows: Sequence[LabelRow]) -> list[dict[str, object]]:
    """Return the contract's structures, in the order of the table, without post-processing: the maker had none."""
    plain: dict[str, object] = {"single_piece": False, "smallest_piece_cc": 0.0, "fill_holes": False}
    entries = []
    for number, row in enumerate(row for row in rows if row.code):
        entry: dict[str, object] = {"code": row.code, **plain}
        if row.is_own:
            entry["definition"] = {"name": row.name, "colour_rgb": _colour(number)}
        entries.append(entry)
    return entries


def left_right_pairs(rows: Sequence[LabelRow]) -> list[tuple[str, str]]:
    """Return the left-right pairs among the table's codes.

    These are the catalogue's partners, and own codes that differ only in their side.
    """
    codes = [row.code for row in rows if row.code]
    return [pair for pair in combinations(codes, 2) if _partners(*pair)]


def _partners(code: str, other: str) -> bool:
    if code in CATALOGUE or other in CATALOGUE:
        return code in CATALOGUE and CATALOGUE[code].partner == other
    one, two = sides_of(code), sides_of(other)
    return len(one) == len(two) == 1 and one != two and bare(code) == bare(other)


def _recognised(label: str) -> tuple[str | None, str]:
    if label in TOTALSEGMENTATOR:
        return TOTALSEGMENTATOR[label], "TotalSegmentator's name"
    spaced = label.replace("_", " ") if label not in CATALOGUE else label
    for text in (spaced, label):
        found = certain_match(text, None, tuple(CATALOGUE))
        if found is not None:
            return found.code, str(found.how)
    return None, _OWN


def _own(label: str, codes: Sequence[str], names: Sequence[str]) -> LabelRow:
    """Define a structure under its maker's name, shortened to what a structure set can hold."""
    code = re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_")[:64] or "structure"
    if code in CATALOGUE or code in codes:
        code = next(f"{code[:60]}_{n}" for n in range(2, 10_000) if f"{code[:60]}_{n}" not in codes)
    name = shortened(label)
    if name in names:
        name = next(
            f"{name[: _LONGEST_NAME - 1 - len(str(n))]}_{n}"
            for n in range(2, 10_000)
            if f"{name[: _LONGEST_NAME - 1 - len(str(n))]}_{n}" not in names
        )
    return LabelRow(label=label, code=code, name=name, recognised=_OWN)


def shortened(label: str) -> str:
    """Return a name of at most 16 characters that keeps every word, if only its beginning, the side, and its number."""
    words = re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_")
    if len(words) <= _LONGEST_NAME:
        return words or "structure"
    sides = sorted(sides_of(label))
    tail = "_" + sides[0][0].upper() if len(sides) == 1 else ""
    if sides:
        words = "_".join(part for part in words.split("_") if not sides_of(part))
    digits = re.search(r"_?[0-9]+$", words)
    end = (digits.group() if digits else "") + tail
    parts = (words[: digits.start()] if digits else words).split("_")
    while len(parts) > 1 and 3 * len(parts) > _LONGEST_NAME - len(end):
        parts.pop()
    while len("_".join(parts)) + len(end) > _LONGEST_NAME:
        longest = max(range(len(parts)), key=lambda index: (len(parts[index]), index))
        parts[longest] = parts[longest][:-1]
    return "_".join(parts) + end


def _expect_sound(file: Path, row: LabelRow) -> None:
    where = f"{file}: {row.label}"
    if not row.code:
        return
    if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", row.code):
        raise ImportRefused(f"{where}: code {row.code!r} does not consist of letters, digits and underscores")
    if row.is_own and not 1 <= len(row.name) <= _LONGEST_NAME:
        raise ImportRefused(
            f"{where}: the catalogue has no {row.code}; its name must have 1 to 16 characters"
        )
    sides = sides_of(row.label)
    if len(sides) == 1 and sides_of(row.code) and sides_of(row.code) != sides:
        raise ImportRefused(f"{where}: {row.code} is a structure of the other side")


def _colour(number: int) -> tuple[int, int, int]:
    """Return well-separated colours: hues by the golden ratio."""
    red, green, blue = colorsys.hsv_to_rgb(number * 0.61803398875 % 1.0, 0.65, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)

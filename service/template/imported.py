"""What an importer found: rows matched to the model's structures, and the template file made from them."""

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from imaging.structure_matching import How, Match, match
from imaging.structures import Code, InterpretedType
from service.template.load import parse_template
from service.template.model import FORMAT

_PRV = re.compile(
    r"(?:PRV[_ -]?(?P<after>.+?)|(?P<before>.+?)[_ -]?PRV)[_ -]?(?P<mm>[0-9]{1,2})(?:mm)?", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class ImportedRow:
    """One structure of a foreign file, with what the file says of it; `source` if it names the model's code."""

    name: str
    external: bool = False
    source: str | None = None
    number: int | None = None
    colour: tuple[int, int, int] | None = None
    type: InterpretedType | None = None
    concept: Code | None = None
    description: str = ""
    when_empty: str = ""


@dataclass(frozen=True, kw_only=True)
class MatchedRow:
    """A row, what it was matched to, and, if the match is only a proposal, why."""

    row: ImportedRow
    match: Match
    reason: str = ""
    prv: tuple[str, int] | None = None
    """For a planning risk volume that is not used: the structure and the margin in mm that its name says."""

    @property
    def used(self) -> bool:
        """Whether the template has it as a structure, rather than as a comment."""
        return not self.reason

    def words(self) -> str:
        """Return the text for the report."""
        if self.row.external:
            return "outline of the patient" if self.used else self.reason
        return f"{self.match.code} ({self.match.how})" if self.used else self.reason


@dataclass(frozen=True, kw_only=True)
class ImportedTemplate:
    """A foreign template: its name, its rows, and notes on what was not carried over."""

    name: str
    placed: tuple[MatchedRow, ...]
    notes: tuple[str, ...] = field(default=())

    def toml(self, codes: Collection[str]) -> str:
        """Return the template file; rows that were not matched are comments in it.

        Raises TemplateRefused if none was matched.
        """
        text = "\n".join([*_head(self), *(line for placed in self.placed for line in _table(placed))]) + "\n"
        parse_template(text, f"made from '{self.name}'", codes)
        return text


def place(rows: Sequence[ImportedRow], codes: Collection[str]) -> tuple[MatchedRow, ...]:
    """Match each row to the model's structure; a second row with the same name or structure is only a proposal."""
    placed: list[MatchedRow] = []
    for row in rows:
        found = match(row.name, row.concept, codes)
        if row.source is not None:
            found = Match(code=row.source, how=How.CODE)
        prv = None if found.code is not None or row.external else _prv(row.name, codes)
        reason = _reason(row, found, prv, codes) or _repeated(row, found, [p for p in placed if p.used])
        placed.append(MatchedRow(row=row, match=found, reason=reason, prv=prv))
    return tuple(placed)


def _reason(row: ImportedRow, found: Match, prv: tuple[str, int] | None, codes: Collection[str]) -> str:
    if row.external:
        return ""
    if found.code is None:
        return f"looks like {prv[0]} with {prv[1]} mm: proposed" if prv else "the model has nothing like it"
    if row.source is not None and row.source not in codes:
        return f"the model has no '{row.source}'"
    return "" if found.is_certain else f"perhaps {found.code} ({found.how}): a person decides"


def _repeated(row: ImportedRow, found: Match, earlier: Sequence[MatchedRow]) -> str:
    for other in earlier:
        if other.row.name.casefold() == row.name.casefold():
            return "an earlier structure has its name"
        if row.external and other.row.external:
            return f"'{other.row.name}' is the outline already"
        if not row.external and other.match.code == found.code:
            return f"'{other.row.name}' is {found.code} already"
    return ""


def _prv(name: str, codes: Collection[str]) -> tuple[str, int] | None:
    parts = _PRV.fullmatch(name)
    if parts is None:
        return None
    organ = match(parts["after"] or parts["before"], None, codes)
    return (organ.code, int(parts["mm"])) if organ.code is not None and organ.is_certain else None


def _head(imported: ImportedTemplate) -> Iterator[str]:
    yield f"template = {FORMAT}"
    yield f"name = {_text(imported.name[:64] or 'imported')}"
    for note in imported.notes:
        yield f"# {_plain(note)}"


def _table(placed: MatchedRow) -> Iterator[str]:
    lines = ["[[structure]]", *_keys(placed)]
    yield ""
    if not placed.used:
        yield f"# {_plain(placed.row.name)}: {_plain(placed.reason)}"
    yield from (lines if placed.used else (f"# {line}" for line in lines))


def _keys(placed: MatchedRow) -> Iterator[str]:
    row, prv = placed.row, placed.prv
    source = prv[0] if prv else placed.match.code or "?"
    kind = None if row.external or row.type is None else _text(row.type.value)
    values: dict[str, str | None] = {
        "name": _text(row.name),
        "external": "true" if row.external else None,
        "from": None if row.external else _text(source),
        "steps": f"[{{ margin_mm = {prv[1]} }}]" if prv else None,
        "number": None if row.number is None else str(row.number),
        "colour": None if row.colour is None else _text("#" + bytes(row.colour).hex()),
        "type": kind,
        "code": None if row.concept is None else _inline(row.concept),
        "description": _text(row.description) if row.description else None,
        "when_empty": _text(row.when_empty) if row.when_empty else None,
    }
    return (f"{key} = {value}" for key, value in values.items() if value is not None)


def _inline(code: Code) -> str:
    return (
        f"{{ value = {_text(code.value)}, scheme = {_text(code.scheme)}, meaning = {_text(code.meaning)} }}"
    )


def _text(value: str) -> str:
    """Return the value as a TOML basic string, whose escapes are those of JSON."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(value: str) -> str:
    """Return the value for a comment: on one line, without control characters."""
    return "".join(character if character.isprintable() else " " for character in value)

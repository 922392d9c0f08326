"""Reads a table of structures: CSV with a header line, comma or semicolon, UTF-8."""

import csv
import io
import re
from collections.abc import Collection, Mapping

from imaging.structures import Code, InterpretedType
from service.template.imported import ImportedRow, ImportedTemplate, place
from service.template.load import TemplateRefused

COLUMNS = (
    "name", "from", "colour", "type", "number", "code_value", "code_scheme", "code_meaning", "description", "when_empty",
)  # fmt: skip
_OTHER_WORDS = {"color": "colour", "code": "from", "structure": "name", "roi": "name", "volume_type": "type"}
_LONGEST_COLOUR = 40
_NUMBERS = re.compile(r"[0-9]+")


def read_table(data: bytes, name: str, codes: Collection[str]) -> ImportedTemplate:
    """Return the rows of a CSV, matched to the model's structures where `from` is empty.

    Raises:
        TemplateRefused: for a file that is not such a table, with the line and the column.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateRefused(f"the table is not UTF-8: {error}; save it as 'CSV UTF-8'") from error
    first = text.partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ","
    )
    try:
        reader.fieldnames = _columns(reader.fieldnames or ())
        rows = [
            _row(reader.line_num, cells)
            for cells in reader
            if any(str(cell or "").strip() for cell in cells.values())
        ]
    except csv.Error as error:
        raise TemplateRefused(f"line {reader.line_num}: the table cannot be read: {error}") from error
    if not rows:
        raise TemplateRefused("the table has no rows below its header")
    return ImportedTemplate(name=name, placed=place(rows, codes))


def _columns(header: Collection[str]) -> list[str]:
    words = [word.strip().casefold().replace(" ", "_") for word in header]
    words = [_OTHER_WORDS.get(word, word) for word in words]
    unknown = [word for word in words if word not in COLUMNS]
    if unknown or "name" not in words or len(set(words)) < len(words):
        found = ", ".join(words) or "nothing"
        raise TemplateRefused(
            f"the table's header is {found}; allowed, each once and name always: {', '.join(COLUMNS)}"
        )
    return words


def _row(line: int, cells: Mapping[str, str | None]) -> ImportedRow:
    if None in cells:
        raise TemplateRefused(f"line {line}: more cells than the header has columns")
    values = {key: (value or "").strip() for key, value in cells.items()}
    if not values["name"]:
        raise TemplateRefused(f"line {line}: no name")
    kind = values.get("type", "").upper()
    if kind and kind not in InterpretedType.__members__:
        raise TemplateRefused(f"line {line}, type: '{kind}'; allowed: {', '.join(InterpretedType)}")
    if values.get("when_empty", "") not in ("", "omit", "send"):
        raise TemplateRefused(f"line {line}, when_empty: '{values['when_empty']}'; allowed: omit, send")
    return ImportedRow(
        name=values["name"],
        external=kind == InterpretedType.EXTERNAL and not values.get("from"),
        source=values.get("from") or None,
        number=_number(line, values.get("number", "")),
        colour=_colour(line, values.get("colour", "")),
        type=InterpretedType(kind) if kind else None,
        concept=_concept(line, values),
        description=values.get("description", ""),
        when_empty=values.get("when_empty", ""),
    )


def _number(line: int, text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text)):
        raise TemplateRefused(f"line {line}, number: '{text}'; allowed: 1 to 9999")
    return int(text) if text else None


def _colour(line: int, text: str) -> tuple[int, int, int] | None:
    """`#rrggbb`, or three numbers however parted."""
    if not text:
        return None
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        red, green, blue = bytes.fromhex(text[1:])
        return red, green, blue
    numbers = [int(part) for part in _NUMBERS.findall(text[:_LONGEST_COLOUR])]
    if len(text) > _LONGEST_COLOUR or len(numbers) != 3 or max(numbers) > 255:
        raise TemplateRefused(
            f"line {line}, colour: '{text}'; allowed: '#rrggbb' or three numbers from 0 to 255"
        )
    return numbers[0], numbers[1], numbers[2]


def _concept(line: int, values: Mapping[str, str]) -> Code | None:
    value, scheme, meaning = (values.get(f"code_{part}", "") for part in ("value", "scheme", "meaning"))
    if not (value or scheme or meaning):
        return None
    if not (value and scheme and meaning):
        raise TemplateRefused(
            f"line {line}: a code has code_value, code_scheme and code_meaning, or none of them"
        )
    return Code(value=value, scheme=scheme, meaning=meaning)

"""Reads a table of structures: CSV with a header line, separated by comma, semicolon or tab, in UTF-8."""

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
_NO_NAME = "column "
_SEPARATOR = re.compile(r"\"?sep=([;,\t])\"?[;,\t ]*", re.IGNORECASE)
_NUMBERS = re.compile(r"[0-9]+")


def read_table(data: bytes, name: str, codes: Collection[str]) -> ImportedTemplate:
    """Return the rows of a CSV, matched to the model's structures if `from` is empty.

    Raises:
        TemplateRefused: the file is not such a table; the message names the line, and the column if one is wrong.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateRefused(f"the table is not UTF-8: {error}; save it as 'CSV UTF-8'") from error
    delimiter, text, skipped = _delimited(text)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        reader.fieldnames = _columns(reader.fieldnames or ())
        rows = [
            _row(reader.line_num + skipped, cells)
            for cells in reader
            if any(str(cell or "").strip() for cell in cells.values())
        ]
    except csv.Error as error:
        raise TemplateRefused(
            f"line {reader.line_num + skipped}: the table cannot be read: {error}"
        ) from error
    if not rows:
        raise TemplateRefused("the table has no rows below its header")
    return ImportedTemplate(name=name, placed=place(rows, codes))


def _columns(header: Collection[str]) -> list[str]:
    words = [word.strip().casefold().replace(" ", "_") for word in header]
    words = [_OTHER_WORDS.get(word, word) for word in words]
    named = [word for word in words if word]
    unknown = [word for word in named if word not in COLUMNS]
    if unknown or "name" not in named or len(set(named)) < len(named):
        found = ", ".join(words) or "nothing"
        raise TemplateRefused(
            f"the table's header is {found}; allowed, each once and name always: {', '.join(COLUMNS)}"
        )
    return [word or f"{_NO_NAME}{k}" for k, word in enumerate(words)]


def _delimited(text: str) -> tuple[str, str, int]:
    """Return the delimiter, the text from its header on, and how many lines precede it: Excel may write `sep=;`."""
    first, _, rest = text.partition("\n")
    stated = _SEPARATOR.fullmatch(first.rstrip("\r"))
    if stated is not None:
        return stated[1], rest, 1
    counts = {delimiter: first.count(delimiter) for delimiter in (",", ";", "\t")}
    return max(counts, key=lambda delimiter: counts[delimiter]), text, 0


def _row(line: int, cells: Mapping[str, str | None]) -> ImportedRow:
    extra: object = (
        cells.pop(None, None) if isinstance(cells, dict) else None
    )  # cells beyond the header's last
    if isinstance(extra, list) and any(str(cell).strip() for cell in extra):
        raise TemplateRefused(f"line {line}: more cells than the header has columns")
    values = {key: (value or "").strip() for key, value in cells.items()}
    loose = next((value for key, value in values.items() if key.startswith(_NO_NAME) and value), None)
    if loose is not None:
        raise TemplateRefused(f"line {line}: '{loose}' is in a column that has no name in the header")
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
    """Read `#rrggbb`, or three numbers, whatever separates them."""
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

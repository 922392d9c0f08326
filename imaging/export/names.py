"""ROI names that a destination takes: plain letters, short, unique, and never without their side or margin.

A name is a core and a tail of qualifiers: side (L, R, left, right and other languages' words), PRV with its margin,
numbers. Shortening cuts the core. Every candidate is compared with the original: it must say the same side and the same
PRV margin, no less and no more ("Lens_Region" is not cut to "Lens_R").
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import NamedTuple

from imaging.errors import StructureSetNotWritable

_PIECE = re.compile(
    r"(?i:prv)[ _]?\d*(?:mm)?|\d+(?:mm|cm|cGy|Gy)?|[LRlr]\d+|[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|[^\W\d_]+"
)
_SIDES = {
    **dict.fromkeys(("l", "left", "links"), "L"),
    **dict.fromkeys(("r", "right", "rechts"), "R"),
}
# Words that mean a side at the end of a name only: "RT" is radiotherapy too, and "re" begins "re-irradiation".
_SIDES_AT_THE_END = {
    **dict.fromkeys(("lt", "li", "sin", "sx"), "L"),
    **dict.fromkeys(("rt", "re", "dex", "dx"), "R"),
}
_LEFT_WORDS = (
    "gauche izquierda izquierdo sinistra sinistro sinister esquerda esquerdo linker linke linkes linker venstre vänster "
    "lewa lewy lewe левая левый левое лев αριστερά αριστερή αριστερός 왼쪽 좌 좌측"
)
_RIGHT_WORDS = (
    "droite droit derecha derecho destra destro dexter direita direito rechter rechte rechtes rechter høyre højre höger "
    "prawa prawy prawe правая правый правое прав δεξιά δεξί δεξιός 오른쪽 우 우측"
)
_WORDS = {**dict.fromkeys(_LEFT_WORDS.split(), "L"), **dict.fromkeys(_RIGHT_WORDS.split(), "R")}
_LETTER_AT_THE_END = {"G": "L", "D": "R"}  # gauche and droite, as in "Parotide G"
_WORD = re.compile(r"[^\W\d_]+")
_MARGIN = re.compile(r"(?i:prv)[ _]?\d*(?:mm)?|\d+(?:mm|cm|cGy|Gy)")
_PRV = re.compile(r"(?i:prv)[ _]?0*(\d*)")
_QUALIFIER = re.compile(r"(?i:prv)[ _]?\d*(?:mm)?|\d+(?:mm|cm|cGy|Gy)?|[LRlr]\d+")
_SEPARATORS = " _-.,+"
_LETTERS = str.maketrans(
    {"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE"}
    | {"đ": "d", "Đ": "D", "þ": "th", "Þ": "Th", "ð": "d", "\u0131": "i", "\u2013": "-", "\u2019": "'"}
)


class Marks(NamedTuple):
    """What a name says that shortening must not lose: its sides, and its PRV margin (None where it is no PRV)."""

    sides: frozenset[str]
    prv: str | None


def marks_of(name: str) -> Marks:
    """Return the sides and PRV margin that a name states."""
    pieces = [piece.group().lower() for piece in _PIECE.finditer(name)]
    sides = [_SIDES.get(piece) for piece in pieces] + [_SIDES_AT_THE_END.get(piece) for piece in pieces[-1:]]
    sides += _sides_in_other_languages(name)
    prv = _PRV.search(name)
    return Marks(frozenset(side for side in sides if side), prv.group(1) if prv else None)


def _sides_in_other_languages(name: str) -> list[str | None]:
    words = _WORD.findall(unicodedata.normalize("NFC", name))
    sides = [_WORDS.get(word.casefold()) for word in words]
    if len(words) > 1:
        sides.append(_LETTER_AT_THE_END.get(words[-1]))
    sides += [side for letter, side in (("左", "L"), ("右", "R")) if letter in name]
    return sides


def is_spelt_plainly(text: str) -> bool:
    """Whether `plain` keeps every letter and digit of the text, but for accents."""
    flat = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return all(c.isascii() or unicodedata.combining(c) or not c.isalnum() for c in flat)


def spelling(name: str, written: str, known: str) -> str:
    """Return a name as it is written where that keeps its letters, or else its structure's name, `known`."""
    if any(c.isalnum() for c in written) and (written == tidy(name) or is_spelt_plainly(name)):
        return written
    return _catalogue_spelling(name, known)


def _catalogue_spelling(name: str, known: str) -> str:
    """Return the catalogue's name in place of one in letters that cannot be written, with that name's margin.

    Raises StructureSetNotWritable where the catalogue's name has such letters too, or says another side.
    """
    margins = "".join(f"_{found}" for found in _MARGIN.findall(name))
    spelt = known if margins and margins.casefold() in known.casefold() else known + margins
    wanted, found = marks_of(name), marks_of(spelt)
    if (
        not is_spelt_plainly(known)
        or (wanted.sides and wanted.sides != found.sides)
        or wanted.prv != found.prv
    ):
        reason = f"has letters that the destination does not take, and its structure's name '{known}' cannot stand for it"
        raise StructureSetNotWritable(f"ROI name '{name}' {reason}; give a name in plain letters")
    return spelt


def plain(text: str) -> str:
    """Return the text in printable ASCII: accents dropped, everything else without a counterpart an underscore."""
    flat = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    kept = (c for c in flat if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" and c != "\\" else "_" for c in kept).strip()


def tidy(text: str) -> str:
    """Return the text on one line, without control characters, backslashes and spaces at its ends."""
    return "".join("_" if c == "\\" or unicodedata.category(c) == "Cc" else c for c in text).strip()


def assigned_names(names: Sequence[str], limit: int) -> list[str]:
    """For each name one of at most `limit` characters, unique without regard to case, with the same marks.

    Names that fit stay as they are, the first of equal ones too. Raises StructureSetNotWritable where a name's side and
    margin leave no room for a name.
    """
    taken: set[str] = set()
    result = [""] * len(names)
    for k, name in enumerate(names):
        if name and len(name) <= limit and name.casefold() not in taken:
            taken.add(name.casefold())
            result[k] = name
    for k, name in enumerate(names):
        if not result[k]:
            result[k] = shortened(name, limit, taken)
            taken.add(result[k].casefold())
    return result


def shortened(name: str, limit: int, taken: Collection[str] = ()) -> str:
    """Return the name in at most `limit` characters with the same marks, its casefold not in `taken`."""
    wanted = marks_of(name)
    core, tail = _core_and_tail(name)
    for number in range(1, len(taken) + 2):
        counter = str(number) if number > 1 else ""
        for ending in (tail, _canonical(wanted)):
            found = _fitted(core, counter + ending, limit, wanted)
            if found and found.casefold() not in taken:
                return found
    raise StructureSetNotWritable(
        f"ROI name '{name}' cannot be shortened to {limit} characters and keep its side and margin; give a shorter one"
    )


def _core_and_tail(name: str) -> tuple[str, str]:
    """Return the name in two: all but the qualifiers at its end, and these with what separates them from the core."""
    start = len(name)
    pieces = list(_PIECE.finditer(name))
    while pieces and _is_qualifier(pieces[-1].group(), at_the_end=start == len(name)):
        start = pieces.pop().start()
    core = name[:start].rstrip(_SEPARATORS)
    return (core, name[len(core) :]) if core else (name, "")


def _is_qualifier(piece: str, *, at_the_end: bool) -> bool:
    known = piece.lower() in _SIDES or (at_the_end and piece.lower() in _SIDES_AT_THE_END)
    return known or _QUALIFIER.fullmatch(piece) is not None


def _canonical(marks: Marks) -> str:
    prv = "" if marks.prv is None else f"_PRV{marks.prv.zfill(2) if marks.prv else ''}"
    return prv + "".join(f"_{side}" for side in sorted(marks.sides))


def _fitted(core: str, ending: str, limit: int, wanted: Marks) -> str:
    """Return the longest start of the core that fits before the ending and keeps the marks; "" where there is none."""
    for length in range(min(len(core), limit - len(ending)), 0, -1):
        if core[length - 1].isdigit() and core[length : length + 1].isdigit():
            continue  # 7000 is not cut to 700
        candidate = (core[:length].rstrip(_SEPARATORS) + ending).strip()
        if candidate and candidate != ending.strip() and marks_of(candidate) == wanted:
            return candidate
    candidate = f"ROI{ending}"
    return candidate if len(candidate) <= limit and marks_of(candidate) == wanted else ""

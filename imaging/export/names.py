"""ROI names that a destination accepts: plain letters, short, unique, and never without their side or margin.

A name consists of a core and a tail of qualifiers: side (L, R, left, right and other languages' words), PRV with its
margin, numbers. Shortening cuts the core. Every candidate is compared with the original: it must state the same side
and the same PRV margin, no less and no more ("Lens_Region" is not cut to "Lens_R").
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import NamedTuple

from anyascii import anyascii

from imaging.errors import StructureSetNotWritable
from imaging.sides import Side, unambiguous_sides_of

_PIECE = re.compile(
    r"(?i:prv)[ _]?\d*(?:mm)?|\d+(?:mm|cm|cGy|Gy)?|[LRlr]\d+|[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|[^\W\d_]+"
)
_SIDES = {
    **dict.fromkeys(("l", "left", "links"), "L"),
    **dict.fromkeys(("r", "right", "rechts"), "R"),
}
# Words that mean a side only at the end of a name: "RT" is radiotherapy too, and "re" begins "re-irradiation".
_SIDES_AT_THE_END = {
    **dict.fromkeys(("lt", "li", "sin", "sx"), "L"),
    **dict.fromkeys(("rt", "re", "dex", "dx"), "R"),
}
_LETTER_OF = {Side.LEFT: "L", Side.RIGHT: "R"}
_LAST_LETTER = re.compile(r"(?<=[\W_])[GD]$")  # perhaps a side in French: only after a structure's name
_WORD_END = re.compile(r"[^\W\d_]+$")
_MARGIN = re.compile(r"(?i:prv)[ _]?\d*(?:mm)?|\d+(?:mm|cm|cGy|Gy)")
_PRV = re.compile(r"(?i:prv)[ _]?0*(\d*)")
_QUALIFIER = re.compile(r"(?i:prv)[ _]?\d*(?:mm)?|\d+(?:mm|cm|cGy|Gy)?|[LRlr]\d+")
_SEPARATORS = " _-.,+"
_LETTERS = str.maketrans(
    {"ß": "ss", "ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE"}
    | {"đ": "d", "Đ": "D", "þ": "th", "Þ": "Th", "ð": "d", "\u0131": "i", "\u2013": "-", "\u2019": "'"}
)


class Marks(NamedTuple):
    """What a name states and shortening must not lose.

    Its sides, its PRV margin (None where it is not a PRV), and a final G or D.
    """

    sides: frozenset[str]
    prv: str | None
    last_letter: str = ""


def marks_of(name: str) -> Marks:
    """Return the sides and PRV margin that a name states."""
    pieces = [piece.group().lower() for piece in _PIECE.finditer(name)]
    stated = [_SIDES.get(piece) for piece in pieces] + [_SIDES_AT_THE_END.get(piece) for piece in pieces[-1:]]
    stated += [_LETTER_OF[side] for side in unambiguous_sides_of(name)]
    sides = frozenset(side for side in stated if side)
    prv, last = _PRV.search(name), _LAST_LETTER.search(name)
    return Marks(sides, prv.group(1) if prv else None, last.group().upper() if last and not sides else "")


def is_spelt_plainly(text: str) -> bool:
    """Tell whether `plain` keeps every letter and digit of the text, except for accents."""
    flat = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return all(c.isascii() or unicodedata.combining(c) or not c.isalnum() for c in flat)


def spelling(name: str, written: str, known: str) -> str:
    """Return a name as written where that keeps its letters, else its structure's name (`known`), or a transliteration.

    Raises StructureSetNotWritable where neither has the name's side and margin, or `known` states another side.
    """
    if any(c.isalnum() for c in written) and (written == tidy(name) or is_spelt_plainly(name)):
        return written
    wanted, stated = marks_of(name), marks_of(known)
    margins = "".join(f"_{found}" for found in _MARGIN.findall(name))
    spelt = known if margins.casefold() in known.casefold() else known + margins
    found = marks_of(spelt)
    if is_spelt_plainly(known) and wanted.sides <= found.sides and wanted.prv == found.prv:
        return spelt
    foreign = transliterated(name)
    if not foreign or (wanted.sides and stated.sides and wanted.sides != stated.sides):
        reason = f"has letters that the destination does not take, and its structure's name '{known}' cannot stand for it"
        raise StructureSetNotWritable(f"ROI name '{name}' {reason}; give a name in plain letters")
    return foreign


def transliterated(name: str) -> str:
    """Return a name of any alphabet in ASCII letters (transliterated by anyascii) with the same side and margin.

    "" where no transliteration keeps them.
    """
    letters, wanted = plain(anyascii(tidy(name))), marks_of(name)
    for text in (letters, letters + "".join(f"_{side}" for side in sorted(wanted.sides))):
        if any(c.isalnum() for c in text) and marks_of(text)[:2] == wanted[:2]:
            return text
    return ""


def plain(text: str) -> str:
    """Return the text in printable ASCII: accents dropped, an underscore for anything else without a counterpart."""
    flat = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    kept = (c for c in flat if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" and c != "\\" else "_" for c in kept).strip()


def tidy(text: str) -> str:
    """Return the text on one line, without control characters and backslashes, and without spaces at its ends."""
    return "".join("_" if c == "\\" or unicodedata.category(c) == "Cc" else c for c in text).strip()


def assigned_names(names: Sequence[str], limit: int) -> list[str]:
    """Return for each name one of at most `limit` characters, unique regardless of case, with the same marks.

    Names that fit stay as they are; of equal ones, the first does. Raises StructureSetNotWritable where a name's side
    and margin leave no room for a name.
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
    """Return the name in at most `limit` characters with the same marks, with a casefold that is not in `taken`."""
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
    """Split a name into its core and the qualifiers at its end with their separator."""
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
    return prv + "".join(f"_{mark}" for mark in (*sorted(marks.sides), marks.last_letter) if mark)


def _fitted(core: str, ending: str, limit: int, wanted: Marks) -> str:
    """Return the core's longest beginning, with the ending, that fits and keeps the marks; "" where there is none."""
    for length in range(min(len(core), limit - len(ending)), 0, -1):
        if core[length - 1].isdigit() and core[length : length + 1].isdigit():
            continue  # 7000 is not cut to 700
        fragment = _WORD_END.search(core[:length])
        if core[length : length + 1].isalpha() and fragment and marks_of(fragment.group()).sides:
            continue  # nor "Glande lacrymale" to "Glande l"
        candidate = (core[:length].rstrip(_SEPARATORS) + ending).strip()
        if candidate and candidate != ending.strip() and marks_of(candidate) == wanted:
            return candidate
    candidate = f"ROI{ending}"
    return candidate if len(candidate) <= limit and marks_of(candidate) == wanted else ""

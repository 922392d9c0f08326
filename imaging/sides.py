"""Left and right in structure names, so that no name, source or code ever changes the side."""

import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import cache, lru_cache

from imaging.structures import CATALOGUE


class Side(StrEnum):
    """The side of the patient that a name states."""

    LEFT = "left"
    RIGHT = "right"


_WORDS = {
    Side.LEFT: {"l", "lt", "left", "links", "linke", "linker", "linkes", "li", "lks", "gauche", "sin", "sinistra",
                "sinistro", "sinister", "sx", "izq", "izquierda", "izquierdo", "esquerda", "esquerdo", "venstre",
                "vänster", "vlevo", "lewa", "lewy", "lewe", "лев", "левая", "левый", "левое",
                "αριστερά", "αριστερή", "αριστερός", "αριστερό", "왼쪽", "좌", "좌측"},
    Side.RIGHT: {"r", "rt", "right", "rechts", "rechte", "rechter", "rechtes", "re", "droit", "droite", "dex", "dext",
                 "dexter", "destra", "destro", "dx", "der", "derecha", "derecho", "direita", "direito", "høyre", "højre",
                 "höger", "vpravo", "prawa", "prawy", "prawe", "прав", "правая", "правый", "правое",
                 "δεξιά", "δεξί", "δεξιός", "δεξιό", "오른쪽", "우", "우측"},
}  # fmt: skip
_AMBIGUOUS = {"l", "lt", "li", "sin", "sx", "r", "rt", "re", "dex", "dx", "der"}
_LETTERS = {"左": Side.LEFT, "右": Side.RIGHT}  # a side in any position: there are no spaces between words
_LAST = {"g": Side.LEFT, "d": Side.RIGHT}  # gauche and droite, as in "Parotide G"
_REMEMBERED = 8192  # names: each name of the catalogue is asked for again with each name of a table
_LATIN = "A-Za-zÀ-ɏ"
_PART = re.compile(rf"[A-Z]?[a-zÀ-ɏ]+|[A-Z]+(?![a-z])|[0-9]+|[左右]|[^\W\d_{_LATIN}左右]+")


def parts(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: split at spaces, underscores, digits and changes of case."""
    return tuple(part.casefold() for part in _PART.findall(unicodedata.normalize("NFC", name)))


@lru_cache(_REMEMBERED)
def sides_of(name: str) -> frozenset[Side]:
    """Return the sides that a name states as separate words (`Parotid_L`, `Parotis links`), or none.

    A final G or D is French for a side only after a structure's name: `Parotide D` is, `Dose_D` is not.
    """
    return _stated(set(parts(name))) | _side_of_last_letter(name)


def unambiguous_sides_of(name: str) -> frozenset[Side]:
    """Return those sides of `sides_of` that are stated by words that never mean anything else.

    Not by L as in vertebra L5, RT or re.
    """
    return _stated(set(parts(name)) - _AMBIGUOUS) | _side_of_last_letter(name)


@lru_cache(_REMEMBERED)
def bare(name: str) -> str:
    """Return the name's words without those of the side, joined."""
    words = parts(name)[:-1] if _side_of_last_letter(name) else parts(name)
    return _without_sides(words)


def _stated(words: set[str]) -> frozenset[Side]:
    found = {side for side, stated in _WORDS.items() if words & stated}
    return frozenset(found | {side for letter, side in _LETTERS.items() if letter in words})


def _side_of_last_letter(name: str) -> set[Side]:
    *words, last = parts(name) or ("",)
    return {_LAST[last]} if last in _LAST and _without_sides(words) in _known() else set()


def _without_sides(words: Iterable[str]) -> str:
    sides = set.union(*_WORDS.values(), set(_LETTERS))
    return "".join(word for word in words if word not in sides)


@cache
def _known() -> frozenset[str]:
    """Return the names of all structures of the catalogue, in all of its languages, without sides."""
    names = (text for one in CATALOGUE.values() for text in (one.code, one.name, *one.aliases))
    return frozenset(_without_sides(parts(name)) for name in names)

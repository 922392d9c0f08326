"""Left and right in structure names, so that no name, source or code ever changes the side."""

import re
from enum import StrEnum


class Side(StrEnum):
    """The patient's side that a name states."""

    LEFT = "left"
    RIGHT = "right"


_WORDS = {
    Side.LEFT: {"l", "lt", "left", "links", "linke", "linker", "linkes", "li", "lks", "gauche", "sin", "sinistra",
                "sx", "izq", "izquierda", "izquierdo", "esquerda", "esquerdo", "vlevo", "lewa", "lewy", "lewe"},
    Side.RIGHT: {"r", "rt", "right", "rechts", "rechte", "rechter", "rechtes", "re", "droit", "droite", "dex", "dext",
                 "destra", "dx", "der", "derecha", "derecho", "direita", "direito", "vpravo", "prawa", "prawy", "prawe"},
}  # fmt: skip
_PART = re.compile(r"[A-Z]?[a-zÀ-ɏ]+|[A-Z]+(?![a-z])|[0-9]+")


def parts(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case: split at spaces, underlines, digits and changes of case."""
    return tuple(part.casefold() for part in _PART.findall(name))


def sides_of(name: str) -> frozenset[Side]:
    """Return the sides that a name states as words of their own: `Parotid_L`, `Parotis links`; empty where it states none."""
    words = set(parts(name))
    return frozenset(side for side, stated in _WORDS.items() if words & stated)


def bare(name: str) -> str:
    """Return the name's words without those of the side, joined."""
    sides = set.union(*_WORDS.values())
    return "".join(part for part in parts(name) if part not in sides)

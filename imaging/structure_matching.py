"""Which of a model's structures a clinic's name means; never one of the other side."""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from imaging.sides import bare, sides_of
from imaging.structures import CATALOGUE, Code

_SIMILAR = 0.8
_SHORTEST_SIMILAR = 6


class How(StrEnum):
    """How a name was recognised; `SIMILAR` and `DISPUTED` are for a person to decide."""

    NAME = "TG-263 name"
    ALIAS = "alias"
    CODE = "code"
    SIMILAR = "similar name"
    DISPUTED = "name and code disagree"
    NONE = "nothing"


@dataclass(frozen=True, kw_only=True)
class Match:
    """The model's structure that a name means, if any, and how it was recognised."""

    code: str | None
    how: How

    @property
    def is_certain(self) -> bool:
        """Whether it can be used without review by a person."""
        return self.how in (How.NAME, How.ALIAS, How.CODE)


_NOTHING = Match(code=None, how=How.NONE)


def match(name: str, concept: Code | None, codes: Collection[str]) -> Match:
    """Return the structure among `codes` that `name` and, where given, its coded concept mean.

    A name that states a side only ever means a structure of that side, one that states none only a structure without
    a side. A name that is merely similar, or whose code is another structure's, is reported as such.
    """
    return certain_match(name, concept, codes) or _similar(name, _of_the_side(name, codes))


def certain_match(name: str, concept: Code | None, codes: Collection[str]) -> Match | None:
    """Return what `match` finds without a look at similar names, which takes most of its time; None for nothing."""
    known = _of_the_side(name, codes)
    by_name = _by_name(name, known)
    if by_name is not None and concept is not None and _contradicts(by_name.code, concept):
        return Match(code=by_name.code, how=How.DISPUTED)
    return by_name or _by_concept(name, concept, known)


def _of_the_side(name: str, codes: Collection[str]) -> list[str]:
    return [code for code in codes if code in CATALOGUE and _same_side(name, code)]


def _same_side(name: str, code: str) -> bool:
    return sides_of(name) == sides_of(code)


def _by_name(name: str, codes: Collection[str]) -> Match | None:
    for code in codes:
        if name.casefold() in (code.casefold(), CATALOGUE[code].name.casefold()):
            return Match(code=code, how=How.NAME)
    for code in codes:
        if bare(name) in {bare(text) for text in (code, CATALOGUE[code].name, *CATALOGUE[code].aliases)}:
            return Match(code=code, how=How.ALIAS)
    return None


def _by_concept(name: str, concept: Code | None, codes: Collection[str]) -> Match | None:
    """Return the structure of the coded concept; None for derived structures, whose names have a PRV or a number."""
    if concept is None or _is_derived(name):
        return None
    for code in codes:
        own = CATALOGUE[code].concept
        if own is not None and (own.value, own.scheme) == (concept.value, concept.scheme):
            return Match(code=code, how=How.CODE)
    return None


def _contradicts(code: str | None, concept: Code) -> bool:
    own = CATALOGUE[code].concept if code is not None else None
    return own is not None and own.scheme == concept.scheme and own.value != concept.value


def _is_derived(name: str) -> bool:
    return bool(re.search(r"[0-9]|prv|ptv|ctv|gtv", name.casefold()))


def _similar(name: str, codes: Collection[str]) -> Match:
    """Return the structure whose name differs only by a typing error.

    It must have the same first letter (parotid is not carotid) and as many words.
    """
    text = bare(name)
    if len(text) < _SHORTEST_SIMILAR or _is_derived(name):
        return _NOTHING
    found: dict[str, float] = {}
    for code in codes:
        for known in (code, CATALOGUE[code].name, *CATALOGUE[code].aliases):
            other = bare(known)
            ratio = difflib.SequenceMatcher(None, text, other).ratio()
            if text[0] == other[0] and _words(name) == _words(known) and ratio >= _SIMILAR:
                found[code] = max(found.get(code, 0.0), ratio)
    if len(found) != 1:
        return _NOTHING
    return Match(code=next(iter(found)), how=How.SIMILAR)


def _words(name: str) -> int:
    return len([word for word in re.split(r"[\s_\-.]+", name) if word and not sides_of(word)])

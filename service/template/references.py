"""What the structures of a template refer to, in the template and in the model: names, sides, cycles."""

import difflib
from collections import Counter
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter

from imaging.sides import Side, sides_of
from imaging.structures import CATALOGUE, InterpretedType
from service.template.model import Entry, Template


def problems(template: Template, codes: Collection[str]) -> list[str]:
    """Return every contradiction in plain words, with the structure that has it; empty if there is none."""
    found = [*_alike(template), *_unknown(template, codes)]
    return found or _cycles(template) or [*_undescribed(template), *_sides(template)]


def in_order(template: Template) -> tuple[Entry, ...]:
    """Return the structures so that each comes after those it is made from; CycleError if that is impossible."""
    entries = {entry.name: entry for entry in template.structure}
    sorter = TopologicalSorter({name: _others(entry, entries) for name, entry in entries.items()})
    return tuple(entries[name] for name in sorter.static_order())


def sources_of(template: Template) -> dict[str, set[str]]:
    """Return the model's codes that each structure is ultimately made from."""
    names = {entry.name for entry in template.structure}
    found: dict[str, set[str]] = {}
    for entry in in_order(template):
        others = {word: made_from(entry, word, names) for word in entry.references()}
        own = {word for word, other in others.items() if other is None}
        found[entry.name] = own.union(*(found[other] for other in others.values() if other is not None))
    return found


def made_from(entry: Entry, word: str, names: Collection[str]) -> str | None:
    """Return the structure of the template that a word means; None if it means the model's code.

    A word means the template's structure with that name; within that structure itself, or if the template has none,
    it means the model's.
    """
    return word if word in names and word != entry.name else None


def _others(entry: Entry, names: Collection[str]) -> list[str]:
    meant = (made_from(entry, word, names) for word in entry.references())
    return [name for name in meant if name is not None]


def _alike(template: Template) -> Iterator[str]:
    if not template.sent() and template.unlisted == "omit":
        yield "no structure is sent"
    for name, count in Counter(entry.name.casefold() for entry in template.structure).items():
        if count > 1:
            yield f"the name '{name}' occurs {count} times (upper and lower case count as the same)"
    for number, count in Counter(e.number for e in template.sent() if e.number is not None).items():
        if count > 1:
            yield f"the number {number} occurs {count} times"
    outlines = [e.name for e in template.sent() if type_of(e) is InterpretedType.EXTERNAL]
    if len(outlines) > 1:
        yield f"only one structure can have the type EXTERNAL, not {', '.join(outlines)}"


def type_of(entry: Entry) -> InterpretedType | None:
    """Return the type with which the structure is sent; None if neither the file nor the catalogue has one."""
    if entry.type is not None:
        return entry.type
    if entry.external:
        return InterpretedType.EXTERNAL
    known = CATALOGUE.get(entry.source or "")
    return known.interpreted_type if known else None


def colour_of(entry: Entry) -> tuple[int, int, int] | None:
    """Return the structure's colour in the file or in the catalogue; None if neither has one."""
    known = CATALOGUE.get(entry.source or "")
    return entry.colour or (known.colour_rgb if known else None)


def _unknown(template: Template, codes: Collection[str]) -> Iterator[str]:
    names = {entry.name for entry in template.structure}
    for entry in template.structure:
        for word in entry.references():
            if made_from(entry, word, names) is None and word not in codes:
                near = difflib.get_close_matches(word, [*codes, *names - {entry.name}], n=1)
                hint = f"; did you mean '{near[0]}'?" if near else f"; the model has {', '.join(codes)}"
                yield f"{entry.name}: '{word}' is neither a structure of the model nor a name of this file{hint}"


def _undescribed(template: Template) -> Iterator[str]:
    names = {entry.name for entry in template.structure}
    for entry in template.sent():
        copied = made_from(entry, entry.source or "", names) is not None
        given: list[tuple[str, object]] = [("type", entry.type if copied else type_of(entry))]
        given += [] if copied or entry.external else [("colour", colour_of(entry))]
        missing = [key for key, value in given if value is None]
        if missing:
            yield f"{entry.name}: nothing says what '{entry.source}' is; give its {' and '.join(missing)}"


def _cycles(template: Template) -> list[str]:
    try:
        in_order(template)
    except CycleError as error:
        return [f"structures are made from each other: {' -> '.join(reversed(error.args[1]))}"]
    return []


def _sides(template: Template) -> Iterator[str]:
    names = {entry.name: entry for entry in template.structure}
    sides: dict[str, frozenset[Side]] = {}
    for entry in in_order(template):
        made: set[Side] = set()
        for word in entry.added():
            other = made_from(entry, word, names)
            made |= sides_of(word) if other is None else sides[other]
        sides[entry.name] = frozenset(made) or sides_of(entry.name)
        yield from _contradictions(entry, frozenset(made))


def _contradictions(entry: Entry, made: frozenset[Side]) -> Iterator[str]:
    """Yield contradictions between the side in the name and code and the side of the structure's source."""
    said = [("the name", sides_of(entry.name))] if entry.send else []
    if entry.concept is not None:
        said.append((f"the code's meaning '{entry.concept.meaning}'", sides_of(entry.concept.meaning)))
    for what, stated in said:
        if made and stated and stated != made:
            yield f"{entry.name}: {what} says {_both(stated)}, but it is made from the {_both(made)}"
        elif len(made) == 1 and not stated and what == "the name":
            yield f"{entry.name}: it is made from the {_both(made)} side only, but its name does not say so"


def _both(sides: frozenset[Side]) -> str:
    return " and ".join(sorted(sides))

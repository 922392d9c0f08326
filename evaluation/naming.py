"""Which structures of two sets are the same: by TG-263 name and known aliases, never across sides."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imaging.sides import bare, sides_of
from imaging.structure_matching import match
from imaging.structures import CATALOGUE


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Names of two sets that mean one structure, by its common name, and names without a partner."""

    pairs: Mapping[str, tuple[str, str]]
    unmatched: tuple[str, ...]
    unmatched_reference: tuple[str, ...]
    notes: tuple[str, ...] = ()


def common_name(name: str) -> str:
    """Return the TG-263 name of a structure that the catalogue knows; otherwise the name unchanged."""
    found = match(name, None, tuple(CATALOGUE))
    return CATALOGUE[found.code].name if found.code is not None and found.is_certain else name


def pair_names(
    found: Iterable[str], reference: Iterable[str], given: Mapping[str, str] | None = None
) -> Pairing:
    """Pair the names of a set under evaluation with those of its reference.

    `given` pairs names in advance (found: reference). Names that differ only in case, separators or how they state the
    side are one name. Where two names of a set mean one structure, the one spelt like the other set's is used; else
    neither is, with a note.
    """
    given = given or {}
    sides = _by_key(given.get(name, name) for name in found), _by_key(reference)
    back = {given.get(name, name): name for name in found}
    pairs: dict[str, tuple[str, str]] = {}
    notes: list[str] = []
    for key in sides[0].keys() & sides[1].keys():
        ours, theirs = sides[0][key], sides[1][key]
        same = sorted(set(ours) & set(theirs))
        if len(ours) == len(theirs) == 1:
            pairs[common_name(theirs[0])] = (back[ours[0]], theirs[0])
        elif len(same) == 1:
            pairs[common_name(same[0])] = (back[same[0]], same[0])
        else:
            notes.append(
                f"{', '.join(ours)} and {', '.join(theirs)} seem to mean one structure; not compared"
            )
    used = {name for pair in pairs.values() for name in pair[:1]}, {pair[1] for pair in pairs.values()}
    return Pairing(
        pairs=dict(sorted(pairs.items())),
        unmatched=tuple(sorted(name for name in back.values() if name not in used[0])),
        unmatched_reference=tuple(
            sorted(name for names in sides[1].values() for name in names if name not in used[1])
        ),
        notes=tuple(notes),
    )


def shared_names(names: Mapping[str, Iterable[str]]) -> dict[str, dict[str, str]]:
    """Return structures that every set names once: the common name, and each set's own name by the set's label."""
    keyed = {
        label: {key: own[0] for key, own in _by_key(own_names).items() if len(own) == 1}
        for label, own_names in names.items()
    }
    shared = set.intersection(*(set(own) for own in keyed.values())) if keyed else set()
    first = next(iter(keyed), "")
    found = {
        common_name(keyed[first][key]): {label: own[key] for label, own in keyed.items()} for key in shared
    }
    return dict(sorted(found.items()))


def _by_key(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[_key(name)].append(name)
    return found


def _key(name: str) -> str:
    """Return the key by which names are compared: the catalogue code, or the name's words and side."""
    known = match(name, None, tuple(CATALOGUE))
    if known.code is not None and known.is_certain:
        return known.code
    words = bare(name) or name.strip().casefold()
    return f"{words} {' '.join(sorted(sides_of(name)))}"

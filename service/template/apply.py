"""Apply a template to one case: the model's masks in, the structures to send out."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from imaging.masks.body import body_of
from imaging.structures import CATALOGUE, InterpretedType, Structure
from imaging.volumes.volume import Mask, Masks, Volume
from service.errors import Refused
from service.template.derive import SourceEmpty, derive
from service.template.model import Entry, Template
from service.template.references import colour_of, in_order, made_from, sources_of, type_of

EXTERNAL_COLOUR = (0, 200, 0)
NO_EXTERNAL_ON_MR = "an external is found by Hounsfield units, which MR does not have; leave it out, or take it from the model"


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputStructure:
    """One structure to send.

    `structure` has its type, colour and code, and the TG-263 name if it is one of the model's and no other structure is
    sent under that name; `name` is its name in the file, `model_code` the model's code for it ("" if it is derived);
    `remark` says what makes it doubtful. `description` is for ROI Description (3006,0028): the template's text, the
    TG-263 name if `name` differs from it, and `provenance`, the derivation in words.
    """

    structure: Structure
    name: str
    number: int
    mask: Mask
    description: str
    provenance: str
    model_code: str = ""
    remark: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class AppliedTemplate:
    """The structures to send, in the template's order, and notes for the job's history."""

    structures: tuple[OutputStructure, ...]
    notes: tuple[str, ...]


def apply(
    template: Template, masks: Masks, volume: Volume, own: Mapping[str, Structure] = MappingProxyType({})
) -> AppliedTemplate:
    """Return the template's structures made from the model's masks on the CT's grid; `own` are those the model defines.

    A structure made from an empty one is left out, or sent empty if the template says so, and a note says which.
    Raises Refused where the model gave no mask for a code that the template names, ValueError for masks of another
    grid.
    """
    if masks.grid != volume.grid:
        raise ValueError("masks and volume lie on different grids")
    whole = template.model_copy(
        update={"structure": (*template.structure, *_unlisted(template, masks, {**CATALOGUE, **own}))}
    )
    case = _Case(whole, masks, volume)
    for entry in in_order(whole):
        case.make(entry)
    return AppliedTemplate(structures=tuple(case.outputs()), notes=case.notes())


def with_remarks(applied: AppliedTemplate, template: Template, remarks: Mapping[str, str]) -> AppliedTemplate:
    """Return the structures with the remarks, by model code, on them and on the structures they are made from."""
    sources = sources_of(template)

    def remark(item: OutputStructure) -> str:
        if item.model_code:
            return remarks.get(item.model_code, "")
        doubtful = sorted(sources.get(item.name, set()) & set(remarks))
        return "; ".join(f"made from {code}, {remarks[code]}" for code in doubtful)

    return replace(
        applied, structures=tuple(replace(item, remark=remark(item)) for item in applied.structures)
    )


def _unlisted(template: Template, masks: Masks, known: Mapping[str, Structure]) -> list[Entry]:
    if template.unlisted == "omit":
        return []
    names = {entry.name.casefold() for entry in template.structure}
    listed = {entry.source for entry in template.sent() if not entry.is_derived}
    unknown = [code for code in masks.by_code if code not in listed and code not in known]
    if unknown:
        raise Refused(
            f"the catalogue does not know '{unknown[0]}'; list it in a template, with name, type and colour"
        )
    return [
        _entry(known[code])
        for code in masks.by_code
        if code not in listed and known[code].name.casefold() not in names
    ]


def _entry(structure: Structure) -> Entry:
    """Return an entry for a structure that the template does not list.

    A structure of the catalogue needs only its name and code.
    """
    entry: dict[str, object] = {"name": structure.name, "from": structure.code}
    if structure.code not in CATALOGUE:
        entry |= {"type": structure.interpreted_type, "colour": structure.colour_rgb}
        if structure.concept is not None:
            entry["code"] = asdict(structure.concept)
    return Entry.model_validate(entry)


class _Case:
    """The masks of one case, by the template's names, while they are being made."""

    def __init__(self, template: Template, masks: Masks, volume: Volume) -> None:
        self._template, self._masks, self._volume = template, masks, volume
        self._names = {entry.name for entry in template.structure}
        self._entries = {entry.name: entry for entry in template.structure}
        self._made: dict[str, Mask] = {}
        self._notes: dict[str, list[str]] = {entry.name: [] for entry in template.structure}

    def make(self, entry: Entry) -> None:
        """Make one structure; those that it is made from have been made."""
        try:
            made = derive(entry, self._start(entry), lambda word: self._look(entry, word), self._volume.grid)
        except SourceEmpty as empty:
            self._notes[entry.name].append(f"{entry.name}: not made, because {empty} is empty")
            self._made[entry.name] = Mask.empty()
            return
        self._made[entry.name] = made.mask
        self._notes[entry.name] += made.notes
        if not made.mask.crop_zyx.any():
            self._notes[entry.name].append(_why_empty(entry))

    def notes(self) -> tuple[str, ...]:
        """Return the notes in the template's order."""
        return tuple(note for notes in self._notes.values() for note in notes)

    def outputs(self) -> Iterator[OutputStructure]:
        """Yield the structures to send, under their ROI numbers."""
        numbers = self._template.numbers()
        for entry in self._template.sent():
            mask = self._made[entry.name]
            if mask.crop_zyx.any() or entry.when_empty == "send":
                yield self._output(entry, mask, numbers[entry.name])

    def _start(self, entry: Entry) -> Mask:
        if entry.source is None:
            if self._volume.array_zyx.dtype == np.float32:
                raise Refused(f"{entry.name}: {NO_EXTERNAL_ON_MR}")
            return body_of(self._volume, entry.threshold_hu)
        return self._look(entry, entry.source)

    def _look(self, entry: Entry, word: str) -> Mask:
        other = made_from(entry, word, self._names)
        if other is not None:
            return self._made[other]
        if word not in self._masks.by_code:
            found = ", ".join(self._masks.by_code) or "none"
            raise Refused(f"the template needs '{word}' of the model, which gave {found}")
        return self._masks.by_code[word]

    def _output(self, entry: Entry, mask: Mask, number: int) -> OutputStructure:
        model_code = "" if self._is_made_here(entry) else entry.source or ""
        known = CATALOGUE.get(model_code)
        own = known if known and self._is_alone(entry, known) else None
        look: dict[str, Any] = {
            "colour_rgb": self._colour(entry),
            "interpreted_type": _type(entry),
            "concept": entry.concept.code() if entry.concept else (known.concept if known else None),
        }
        structure = replace(own, **look) if own else Structure(code=entry.name, name=entry.name, **look)
        provenance = self._provenance(entry)
        tg263 = f"TG-263: {known.name}" if known and known.name != entry.name else ""
        return OutputStructure(
            structure=structure,
            name=entry.name,
            number=number,
            mask=mask,
            description="; ".join(part for part in (entry.description, tg263, provenance) if part),
            provenance=provenance,
            model_code=model_code,
        )

    def _is_made_here(self, entry: Entry) -> bool:
        """Tell whether it is more than a structure of the model under another name."""
        return entry.is_derived or made_from(entry, entry.source or "", self._names) is not None

    def _is_alone(self, entry: Entry, known: Structure) -> bool:
        """Tell whether no other sent structure has the catalogue's code or name, and no earlier one is the same."""
        taken = {other.name.casefold() for other in self._template.sent() if other is not entry}
        same = [e for e in self._template.sent() if e.source == entry.source and not self._is_made_here(e)]
        return same[0] is entry and not taken & {known.code.casefold(), known.name.casefold()}

    def _origin(self, entry: Entry) -> Entry:
        """Return the structure at the beginning of the chain of `from`."""
        other = made_from(entry, entry.source or "", self._names)
        return entry if other is None else self._origin(self._entries[other])

    def _colour(self, entry: Entry) -> tuple[int, int, int]:
        return entry.colour or colour_of(self._origin(entry)) or EXTERNAL_COLOUR

    def _provenance(self, entry: Entry) -> str:
        if not entry.steps and made_from(entry, entry.source or "", self._names) is None:
            return f"outline of the patient above {entry.threshold_hu} HU" if entry.external else ""
        start = "outline of the patient" if entry.external else str(entry.source)
        return ", ".join([start, *(step.words() for step in entry.steps)])


def _type(entry: Entry) -> InterpretedType:
    found = type_of(entry)
    if found is None:
        raise ValueError(f"{entry.name} has no type; a template is checked when it is loaded")
    return found


def _why_empty(entry: Entry) -> str:
    if entry.external:
        return f"{entry.name}: the CT shows no body"
    return f"{entry.name}: nothing is left after its steps" if entry.steps else f"{entry.name}: empty"

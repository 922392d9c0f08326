"""A template as a whole: its structures, in the order in which they are sent, and what they are made from."""

import re
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from imaging.masks.hounsfield import BODY_THRESHOLD_HU
from imaging.rtstruct.roi_numbers import roi_numbers
from imaging.structures import Code, InterpretedType
from service.template.steps import Step, TemplateSection, Word

FORMAT = 1
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
Byte = Annotated[int, Field(ge=0, le=255)]


class Concept(TemplateSection):
    """A coded concept: value, designator of its scheme, meaning in words (PS3.3 8.8)."""

    value: Annotated[str, Field(min_length=1, max_length=16)]
    scheme: Annotated[str, Field(min_length=1, max_length=16)]
    meaning: Annotated[str, Field(min_length=1, max_length=64)]

    def code(self) -> Code:
        """Return the concept as `imaging` uses it."""
        return Code(value=self.value, scheme=self.scheme, meaning=self.meaning)


class Entry(TemplateSection):
    """One structure: its name and look, and what it is made from, by which steps."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    source: Word | None = Field(default=None, alias="from")
    external: bool = False
    threshold_hu: Annotated[int, Field(ge=-900, le=0)] = BODY_THRESHOLD_HU
    steps: tuple[Step, ...] = ()
    send: bool = True
    number: Annotated[int, Field(ge=1, le=9999)] | None = None
    colour: tuple[Byte, Byte, Byte] | None = None
    type: InterpretedType | None = None
    concept: Concept | None = Field(default=None, alias="code")
    description: Annotated[str, Field(max_length=512)] = ""
    when_empty: Annotated[str, Field(pattern="^(omit|send)$")] = "omit"

    @field_validator("name")
    @classmethod
    def _can_be_sent(cls, name: str) -> str:
        if name != name.strip() or "\\" in name or not name.isprintable():
            raise ValueError("a name has no backslash, no control characters and no space at either end")
        return name

    @field_validator("colour", mode="before")
    @classmethod
    def _from_hex(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = _HEX.fullmatch(value)
        if not found:
            raise ValueError("a colour is '#rrggbb' or three numbers from 0 to 255")
        return tuple(int(part, 16) for part in found.groups())

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Self:
        if self.external == (self.source is not None):
            raise ValueError("a structure has either `from`, or `external = true`")
        if "threshold_hu" in self.model_fields_set and not self.external:
            raise ValueError("threshold_hu belongs to an external structure only")
        if self.send and self.steps and not self.external and self.type is None:
            raise ValueError(
                "a derived structure that is sent needs its `type`, e.g. PTV, AVOIDANCE or CONTROL"
            )
        return self

    @property
    def is_derived(self) -> bool:
        """Whether it is more than one of the model's structures under another name."""
        return bool(self.steps)

    def references(self) -> tuple[str, ...]:
        """Return every structure that it is made from, as written."""
        own = () if self.source is None else (self.source,)
        return own + tuple(other for step in self.steps for other in step.others())

    def added(self) -> tuple[str, ...]:
        """Return the structures whose voxels can be part of it."""
        own = () if self.source is None else (self.source,)
        return own + tuple(other for step in self.steps if step.add is not None for other in step.others())


class Template(TemplateSection):
    """Which structures are sent, in this order; valid as a whole once `service.template.load` has returned it."""

    template: Annotated[int, Field(ge=FORMAT, le=FORMAT, description="Version of this format.")]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: Annotated[str, Field(max_length=512)] = ""
    unlisted: Annotated[str, Field(pattern="^(omit|send)$")] = "omit"
    structure: tuple[Entry, ...] = ()

    def sent(self) -> tuple[Entry, ...]:
        """Return the structures that are sent."""
        return tuple(entry for entry in self.structure if entry.send)

    def numbers(self) -> dict[str, int]:
        """Return the ROI number of each sent structure, by name: its own, or the lowest free one, in order."""
        numbers = roi_numbers([entry.number for entry in self.sent()])
        return {entry.name: number for entry, number in zip(self.sent(), numbers, strict=True)}

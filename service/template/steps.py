"""The steps of a derivation as a template file has them: one verb per step, in mm and cc."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imaging.masks.margins import Margin

FURTHEST_MM = 200.0
Word = Annotated[str, Field(min_length=1, max_length=64)]
Distance = Annotated[float, Field(ge=0, le=FURTHEST_MM)]


class TemplateSection(BaseModel):
    """A table of a template file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, populate_by_name=True)


class Directions(TemplateSection):
    """A margin in mm by patient direction; what is not given is 0."""

    left: Distance = 0.0
    right: Distance = 0.0
    anterior: Distance = 0.0
    posterior: Distance = 0.0
    superior: Distance = 0.0
    inferior: Distance = 0.0

    def margin(self) -> Margin:
        """Return the margin as `imaging` uses it."""
        return Margin(**{f"{name}_mm": float(value) for name, value in self})

    def words(self) -> str:
        """Return the margin in words."""
        given = [f"{name} {value:g}" for name, value in self if value]
        return ", ".join(given) or "0"


class RingMargin(TemplateSection):
    """Two distances from the surface in mm; negative ones lie inside."""

    inner: Annotated[float, Field(ge=-FURTHEST_MM, le=FURTHEST_MM)]
    outer: Annotated[float, Field(ge=-FURTHEST_MM, le=FURTHEST_MM)]

    @model_validator(mode="after")
    def _has_width(self) -> Self:
        if not self.inner < self.outer:
            raise ValueError("a ring's inner distance is less than its outer one")
        return self


VERBS = (
    "margin_mm", "shrink_mm", "add", "intersect", "subtract", "inside", "ring_mm", "smooth_mm", "fill_holes",
    "keep_largest", "remove_below_cc",
)  # fmt: skip


class Step(TemplateSection):
    """One step: exactly one verb, with its arguments."""

    margin_mm: Distance | Directions | None = None
    shrink_mm: Distance | Directions | None = None
    add: Word | tuple[Word, ...] | None = None
    intersect: Word | tuple[Word, ...] | None = None
    subtract: Word | tuple[Word, ...] | None = None
    inside: Word | None = None
    ring_mm: RingMargin | None = None
    smooth_mm: Annotated[float, Field(gt=0, le=20)] | None = None
    fill_holes: Annotated[str, Field(pattern="^(slices|volume)$")] | None = None
    keep_largest: Annotated[int, Field(ge=1, le=100)] | None = None
    remove_below_cc: Annotated[float, Field(gt=0, le=10000)] | None = None
    distance_mm: Distance = 0.0
    optional: bool = False

    @model_validator(mode="after")
    def _one_verb(self) -> Self:
        given = [verb for verb in VERBS if vars(self)[verb] is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"a step has exactly one verb ({', '.join(VERBS)}), found {found}")
        if "distance_mm" in self.model_fields_set and given[0] not in ("subtract", "inside"):
            raise ValueError("distance_mm belongs to subtract or inside only")
        if "optional" in self.model_fields_set and given[0] not in ("add", "subtract"):
            raise ValueError("optional belongs to add or subtract only")
        if given[0] in ("add", "intersect", "subtract") and not self.others():
            raise ValueError(f"{given[0]} names at least one structure")
        return self

    @property
    def verb(self) -> str:
        """The one verb of the step."""
        return next(verb for verb in VERBS if vars(self)[verb] is not None)

    def others(self) -> tuple[str, ...]:
        """Return the structures that the step refers to."""
        for value in (self.add, self.intersect, self.subtract, self.inside):
            if value is not None:
                return (value,) if isinstance(value, str) else value
        return ()

    def words(self) -> str:
        """Return the step in words, for descriptions and jobs."""
        value = vars(self)[self.verb]
        if isinstance(value, Directions):
            return f"{self.verb.removesuffix('_mm')} {value.words()} mm"
        if isinstance(value, RingMargin):
            return f"ring {value.inner:g} to {value.outer:g} mm"
        if self.others():
            distance = f" with {self.distance_mm:g} mm" if self.distance_mm else ""
            return f"{self.verb} {', '.join(self.others())}{distance}"
        verb, _, unit = (
            self.verb.rpartition("_") if self.verb.endswith(("_mm", "_cc")) else (self.verb, "", "")
        )
        return f"{verb.replace('_', ' ')} {value} {unit}".strip().replace(".0 ", " ")

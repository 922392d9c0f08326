"""Where a model's structures are plausible: the limits in its contract, learned from its training set."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from inference.contract.values import ContractPart, StructureCode

RegionName = Literal["legs", "pelvis", "abdomen", "thorax", "neck", "head"]
Range = Annotated[tuple[float, float], Field(description="lowest and highest plausible value")]


class _Limits(ContractPart):
    @model_validator(mode="after")
    def _ranges_rise(self) -> Self:
        for name, value in self:
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], float):
                low, high = value
                if not low <= high:
                    raise ValueError(f"{name} runs from low to high, not {value}")
        return self


class StructureLimits(_Limits):
    """The limits of one structure: size, density, and place in the body (see `imaging.anatomy.StructurePlacement`)."""

    code: StructureCode
    volume_cc: Range
    height_mm: Range
    width_mm: Range
    depth_mm: Range
    across: Range  # -1 at the body's right end, 1 at its left
    deep: Range  # 0 in front, 1 at the back
    inside: Range  # share of its voxels in the body
    median_hu: Range
    body_cm2: Range  # the body's cross-section at its middle
    regions: tuple[RegionName, ...] = Field(min_length=1)
    anchor: Literal["middle", "top", "bottom"] = "middle"  # the point that pairs are measured from


class PairLimits(_Limits):
    """The limits of the distance between two structures' anchors, in mm to the left, to the back and to the head."""

    first: StructureCode
    second: StructureCode
    left_mm: Range
    back_mm: Range
    head_mm: Range


class Plausibility(_Limits):
    """The parts of the body that a model is for, and the limits of its structures."""

    learned_from: str
    regions: tuple[RegionName, ...] = Field(min_length=1)
    least_mm: float = Field(gt=0.0)  # of these regions, along z; with less, the model is not suited to the CT
    structures: tuple[StructureLimits, ...] = ()
    pairs: tuple[PairLimits, ...] = ()

    def of(self, code: str) -> StructureLimits | None:
        """Return the limits of one structure; None where none were learned."""
        return next((limits for limits in self.structures if limits.code == code), None)

    @model_validator(mode="after")
    def _codes_are_consistent(self) -> Self:
        codes = [limits.code for limits in self.structures]
        if len(set(codes)) < len(codes):
            raise ValueError(f"limits are given twice for a structure of {codes}")
        unknown = {code for pair in self.pairs for code in (pair.first, pair.second)} - set(codes)
        if unknown:
            raise ValueError(f"pairs name {sorted(unknown)}, which have no limits of their own")
        return self

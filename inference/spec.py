"""What a published model is: its structures, its network and pipeline, where it came from. Read from spec.json."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from inference.errors import SpecRefused
from inference.plausibility import Plausibility

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Millimetres = Annotated[float, Field(gt=0.0, le=50.0)]
Voxels = Annotated[int, Field(ge=8, le=512)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StructureSpec(_Frozen):
    """One output of the network, and what is made of it."""

    code: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    single_piece: bool = True  # only the largest connected piece is kept
    smallest_piece_cc: float = Field(default=0.1, ge=0.0)  # smaller pieces are specks
    fill_holes: bool = True  # in each axial slice
    usual_cc: tuple[float, float] | None = None  # outside it the result carries a note


class NetworkSpec(_Frozen):
    """A network architecture by name, with the numbers that define it."""

    architecture: str
    parameters: dict[str, int | tuple[int, ...]]


class VoxelSpec(_Frozen):
    """The voxels the network was trained on: spacings inside a range are used as they are, others resampled."""

    accepted_in_plane_mm: tuple[Millimetres, Millimetres]
    accepted_slice_mm: tuple[Millimetres, Millimetres]
    in_plane_mm: Millimetres
    slice_mm: Millimetres

    @model_validator(mode="after")
    def _targets_are_accepted(self) -> Self:
        for name, target, (low, high) in (
            ("in_plane_mm", self.in_plane_mm, self.accepted_in_plane_mm),
            ("slice_mm", self.slice_mm, self.accepted_slice_mm),
        ):
            if not low <= target <= high:
                raise ValueError(f"{name} {target} lies outside its accepted range {low}..{high}")
        return self


class PipelineSpec(_Frozen):
    """From a CT to the network's input, and how its tiles are laid."""

    windows_hu: tuple[tuple[float, float], ...] = Field(min_length=1)
    tile_zyx: tuple[Voxels, Voxels, Voxels]
    overlap: float = Field(default=0.4, ge=0.0, lt=0.9)
    mirror: bool = False  # also contour the left-right mirrored CT, and average: twice the time
    mirrored_pairs: tuple[tuple[str, str], ...] = ()  # codes that change places in a mirror
    voxels: VoxelSpec
    body_threshold_hu: float = -500.0
    body_margin_mm: float = Field(default=24.0, ge=0.0)

    @model_validator(mode="after")
    def _windows_rise(self) -> Self:
        if any(low >= high for low, high in self.windows_hu):
            raise ValueError(f"a window runs from low to high, not {self.windows_hu}")
        return self


class Provenance(_Frozen):
    """Where the weights came from and how they scored; figures as measured, never rounded up."""

    data: str
    split: str
    licence: str
    citation: str
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    steps: int = Field(ge=0)
    training_s: float = Field(ge=0.0)
    validation: str
    validation_dice: dict[str, Fraction] = Field(default_factory=dict)
    validation_mean_dice: Fraction | None = None


class ModelSpec(_Frozen):
    """One model and version; the order of ``structures`` is the order of bits in the model's answer."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    description: str
    structures: tuple[StructureSpec, ...] = Field(min_length=1)
    network: NetworkSpec
    pipeline: PipelineSpec
    provenance: Provenance
    plausibility: Plausibility | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """The structure codes in the order of the model's bits."""
        return tuple(structure.code for structure in self.structures)

    @property
    def planes(self) -> int:
        """How many uint8 planes hold one bit a structure."""
        return -(-len(self.structures) // 8)

    @model_validator(mode="after")
    def _codes_are_consistent(self) -> Self:
        labels = self.labels
        if len(set(labels)) != len(labels):
            raise ValueError(f"a structure code appears twice in {labels}")
        paired = [code for pair in self.pipeline.mirrored_pairs for code in pair]
        unknown = sorted(set(paired) - set(labels))
        if unknown or len(set(paired)) != len(paired):
            raise ValueError(
                f"mirrored_pairs {self.pipeline.mirrored_pairs} do not pair structures of {labels}"
            )
        limited = self.plausibility.structures if self.plausibility else ()
        foreign = [limits.code for limits in limited if limits.code not in labels]
        if foreign:
            raise ValueError(
                f"plausibility has limits for {', '.join(foreign)}, which the model does not give"
            )
        return self


def load_spec(folder: Path) -> ModelSpec:
    """The spec of one model folder of a Triton repository; SpecRefused says what is wrong and in which file."""
    file = folder / "spec.json"
    try:
        spec = ModelSpec.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecRefused(f"{file}: {error.strerror}") from error
    except (ValidationError, ValueError) as error:
        raise SpecRefused(f"{file}: {error}") from error
    if spec.name != folder.name:
        raise SpecRefused(f"{file}: the name is {spec.name!r}, but the folder is {folder.name!r}")
    if not (folder / str(spec.version)).is_dir():
        raise SpecRefused(f"{file}: version {spec.version} has no folder {folder / str(spec.version)}")
    return spec


def load_specs(model_repository: Path) -> dict[str, ModelSpec]:
    """Every contouring model of a Triton repository by name; folders without spec.json are not such models.

    Raises SpecRefused where the repository is missing or one of its specs is wrong.
    """
    if not model_repository.is_dir():
        raise SpecRefused(f"{model_repository}: no such folder")
    folders = sorted(file.parent for file in model_repository.glob("*/spec.json"))
    return {folder.name: load_spec(folder) for folder in folders}

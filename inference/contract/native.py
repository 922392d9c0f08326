"""The native runtime: the project's own networks and pipelines, by name, with the numbers that define them."""

from typing import Literal

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from inference.contract.values import ContractPart, Millimetres, Voxels, WeightsFile


class NetworkDefinition(ContractPart):
    """A network architecture by its name in ``networks/catalogue.py``, its numbers, and its weights file."""

    architecture: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    weights: WeightsFile = "weights.safetensors"


class VoxelRange(ContractPart):
    """The voxels that a network was trained on: spacings inside a range are used as they are, others resampled."""

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


class WholeVolumeTiles(ContractPart):
    """A 3-D network over the whole body in overlapping tiles, on the model's own voxels."""

    name: Literal["whole_volume_tiles"]
    windows_hu: tuple[tuple[float, float], ...] = Field(min_length=1)
    tile_zyx: tuple[Voxels, Voxels, Voxels]
    overlap: float = Field(default=0.4, ge=0.0, lt=0.9)
    mirror: bool = False  # also contour the left-right mirrored image, and average: twice the time
    voxels: VoxelRange
    body_threshold_hu: float = -500.0
    body_margin_mm: float = Field(default=24.0, ge=0.0)

    @property
    def roles(self) -> tuple[str, ...]:
        """The networks that this pipeline runs, by their names in ``NativeRuntime.networks``."""
        return ("network",)

    @model_validator(mode="after")
    def _windows_rise(self) -> Self:
        if any(low >= high for low, high in self.windows_hu):
            raise ValueError(f"a window runs from low to high, not {self.windows_hu}")
        return self


Precision = Literal["float32", "bfloat16"]

# The pipelines of inference/server/pipelines/catalogue.py. A second one makes this
# Annotated[WholeVolumeTiles | SliceBySlice, Field(discriminator="name")].
Pipeline = WholeVolumeTiles


class NativeRuntime(ContractPart):
    """Networks by the role they play in a pipeline, and the pipeline that takes an image through them."""

    kind: Literal["native"]
    networks: dict[str, NetworkDefinition] = Field(min_length=1)
    pipeline: Pipeline
    precision: Precision = "float32"  # bfloat16: the model's figures hold with it, where the processor has it

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the package that this runtime reads."""
        return tuple(network.weights for network in self.networks.values())

    @model_validator(mode="after")
    def _every_role_has_its_network(self) -> Self:
        if set(self.networks) != set(self.pipeline.roles):
            raise ValueError(
                f"the pipeline {self.pipeline.name} runs the networks {list(self.pipeline.roles)}, "
                f"but networks defines {list(self.networks)}"
            )
        if len(set(self.files)) != len(self.files):
            raise ValueError(f"two networks share a weights file: {list(self.files)}")
        return self

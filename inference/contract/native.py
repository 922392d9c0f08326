"""The native runtime: the project's own networks and pipelines, by name, with the numbers that define them."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from inference.contract.pipelines import SliceStacks, Stratified, WholeVolumeTiles
from inference.contract.values import ContractPart, WeightsFile


class NetworkDefinition(ContractPart):
    """A network architecture by its name in ``networks/catalogue.py``, its numbers, and its weights file.

    ``kept``: outputs, by their place, that stay those of an earlier version, whose weights lie in the same file.
    """

    architecture: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    weights: WeightsFile = "weights.safetensors"
    kept: tuple[int, ...] = ()


Precision = Literal["float32", "bfloat16"]
Pipeline = Annotated[WholeVolumeTiles | SliceStacks | Stratified, Field(discriminator="name")]


class NativeRuntime(ContractPart):
    """Networks by the role they play in a pipeline, and the pipeline that takes an image through them."""

    kind: Literal["native"]
    networks: dict[str, NetworkDefinition] = Field(min_length=1)
    pipeline: Pipeline
    precision: Precision = "float32"  # bfloat16: the model's figures hold with it, where the processor has it

    @property
    def structure_count(self) -> int | None:
        """None: not stated by the runtime; its answer is checked against the contract."""
        return None

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

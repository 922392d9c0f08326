"""The native runtime: the project's own networks and pipelines, by name, with their parameters."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator
from typing_extensions import Self

from inference.contract.pipelines import SliceStacks, Stratified, WholeVolumeTiles
from inference.contract.values import ContractPart, WeightsFile


class NetworkDefinition(ContractPart):
    """A network architecture by its name in ``networks/catalogue.py``, its parameters, and its weights file.

    ``kept``: indices of outputs that remain an earlier version's, whose weights are in the same file.
    """

    architecture: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    weights: WeightsFile = "weights.safetensors"
    kept: tuple[int, ...] = ()


Precision = Literal["float32", "bfloat16"]
Pipeline = Annotated[WholeVolumeTiles | SliceStacks | Stratified, Field(discriminator="name")]


class NativeRuntime(ContractPart):
    """Networks by their role in a pipeline, and the pipeline that runs them on an image."""

    kind: Literal["native"]
    networks: dict[str, NetworkDefinition] = Field(min_length=1)
    pipeline: Pipeline
    precision: Precision = "float32"  # bfloat16: validated with it, and used where the processor has it

    @property
    def structure_count(self) -> int | None:
        """None: the runtime does not state it, and the answer is checked against the contract."""
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

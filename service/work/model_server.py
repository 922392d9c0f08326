"""What the worker needs of a model server; a TritonClient is one."""

from typing import Protocol

from imaging.volumes.volume import Volume
from inference.client import Prediction
from inference.contract import ModelContract


class Contracts(Protocol):
    """The contracts that a job may name, every version of every model; a ModelLibrary is one."""

    def version(self, name: str, version: int) -> ModelContract | None:
        """Return the contract of one version; None where there is none."""
        ...


class ModelServer(Protocol):
    """Answers for models, and can be asked whether tensors reach them unchanged."""

    def check(self) -> None:
        """Return if a known tensor comes back as it went; raises ModelFailed or ModelUnavailable."""
        ...

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:
        """Masks and probabilities for a volume in canonical orientation."""
        ...

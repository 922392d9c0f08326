"""The runtime of a model that a site programs itself: the version's own model.py runs inside Triton."""

from typing import Literal

from inference.contract.values import ContractPart


class OwnCodeRuntime(ContractPart):
    """A Triton python model that follows the interface of config.pbtxt; its code is a file of the package.

    Nothing of the project imports that code, no importer writes it, and the contract names no class: Triton runs
    the file that an administrator put into the version's folder.
    """

    kind: Literal["own_code"]

    @property
    def structure_count(self) -> int | None:
        """None: the runtime does not state it, and the answer is checked against the contract."""
        return None

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the package that this runtime reads."""
        return ("model.py",)

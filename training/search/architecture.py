"""The file of a found architecture: written by the search, read by recipes (``searched = "architecture.json"``)."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imaging.atomic_files import write_atomically
from inference.server.networks.soars_unet import OPERATIONS
from training.faults import faults_of

_NETWORK = "soars_unet"


class ArchitectureRefused(Exception):
    """A file that is not a found architecture, or a recipe without a network for it."""


class FoundArchitecture(BaseModel):
    """The result of a search: one operation per block, the weights of all operations, and the patients used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1)
    operations: tuple[str, ...] = Field(min_length=1)
    gammas: tuple[tuple[float, ...], ...]
    equal_epochs: int
    alternating_epochs: int
    seed: int
    for_weights: tuple[str, ...]  # cases
    for_alphas: tuple[str, ...]
    recipe_sha256: str


def write_architecture(found: FoundArchitecture, file: Path) -> None:
    """Write the file, which is replaced as a whole."""
    write_atomically(file, json.dumps(found.model_dump(mode="json"), indent=1) + "\n")


def load_architecture(file: Path) -> FoundArchitecture:
    """Read the file. Raises ArchitectureRefused, which names it."""
    try:
        found = FoundArchitecture.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArchitectureRefused(
            f"{file}: {error.strerror}. Make it with `python -m training.search RECIPE --data DATASET --out {file}`."
        ) from error
    except ValidationError as error:
        raise ArchitectureRefused(f"{file}: {faults_of(error)}") from error
    unknown = sorted(set(found.operations) - set(OPERATIONS))
    if unknown:
        raise ArchitectureRefused(
            f"{file}: there is no operation {unknown[0]!r}; there are {', '.join(OPERATIONS)}"
        )
    return found


def with_architecture(contract: dict[str, Any], found: FoundArchitecture) -> dict[str, Any]:
    """Return a recipe's contract with the found operations in its networks; ArchitectureRefused where none fits."""
    runtime = contract.get("runtime", {})
    networks = {
        role: {
            **network,
            "parameters": {**network.get("parameters", {}), "operations": list(found.operations)},
        }
        if network.get("architecture") == _NETWORK
        else network
        for role, network in runtime.get("networks", {}).items()
    }
    if not any(network.get("architecture") == _NETWORK for network in networks.values()):
        raise ArchitectureRefused(
            f"the recipe has no network {_NETWORK}, for which the architecture was found"
        )
    return {**contract, "runtime": {**runtime, "networks": networks}}

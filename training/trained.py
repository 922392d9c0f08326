"""The networks of a run, from its checkpoints."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from inference.server.networks.catalogue import build_network
from training.checkpoints import CheckpointRefused, read_checkpoint
from training.recipe import Recipe
from training.run_record import RECIPE_FILE

Weights = Literal["best", "last"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A network with averaged weights, in evaluation mode, and how long it was trained."""

    network: torch.nn.Module
    steps: int
    spent_s: float


def trained_networks(run: Path, recipe: Recipe, weights: Weights = "best") -> dict[str, Trained]:
    """Return the networks of a run by role; of several, each from its own run's folder. Raises CheckpointRefused."""
    roles = recipe.draft().native.pipeline.roles
    folders = {role: run / role if len(roles) > 1 else run for role in roles}
    return {role: trained_network(folder, recipe, role, weights) for role, folder in folders.items()}


def trained_network(folder: Path, recipe: Recipe, role: str, weights: Weights = "best") -> Trained:
    """Return one role's network from the folder of its own run. Raises CheckpointRefused."""
    file = folder / ("best.pt" if weights == "best" else "checkpoint.pt")
    found = read_checkpoint(file, torch.device("cpu"))
    network = build_network(recipe.draft().native.networks[role])
    try:
        network.load_state_dict(found["averaged"])
        state: dict[str, Any] = found["state"]
    except (RuntimeError, KeyError) as error:
        raise CheckpointRefused(
            f"{file} does not fit the network of {folder / RECIPE_FILE}: {error}"
        ) from error
    return Trained(network=network.eval(), steps=int(state["step"]), spent_s=float(state["spent_s"]))

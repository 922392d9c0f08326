"""Search the operations of a recipe's network: python -m training.search RECIPE --data DATASET --out architecture.json.

Exit code 0: found, 1: failed, 2: usage error.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from pydantic import TypeAdapter

from inference.server.networks.soars_unet import OPERATIONS, SoarsUnetConfig
from training.cases import CaseSource, NotForTraining
from training.dataset import Dataset, DatasetRefused
from training.loop import TrainingStopped
from training.openkbp import OpenKbp
from training.organ_task import OrganTask
from training.recipe import Recipe, RecipeRefused, load_recipe
from training.search.architecture import ArchitectureRefused, FoundArchitecture, write_architecture
from training.search.halves import halves
from training.search.search import Data, Epoch, SearchSchedule, search
from training.split import SplitRefused

_REFUSALS = (
    ArchitectureRefused, DatasetRefused, NotForTraining, RecipeRefused, SplitRefused, TrainingStopped, OSError, ValueError,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, and write the architecture found; every expected failure is one line on standard error."""
    parsed = _parser().parse_args(arguments)
    try:
        torch.set_num_threads(parsed.threads)
        recipe = load_recipe(parsed.recipe)
        source = OpenKbp(parsed.openkbp) if parsed.openkbp else Dataset(parsed.data)
        found = found_architecture(recipe, source, _schedule(parsed, recipe))
        write_architecture(found, parsed.out)
    except _REFUSALS as reason:
        sys.stderr.write(f"training.search: {reason}\n")
        return 1
    print(f"{parsed.out}: {', '.join(found.operations)}")
    return 0


def found_architecture(recipe: Recipe, source: CaseSource, schedule: SearchSchedule) -> FoundArchitecture:
    """Search on two parts of the training patients with the recipe's samples and loss.

    Raises RecipeRefused where the recipe's network is not one that can be searched.
    """
    for_weights, for_alphas = halves(source, schedule.seed)
    weights, alphas = OrganTask(recipe, for_weights), OrganTask(recipe, for_alphas)
    definition = weights.contract.native.networks[weights.role]
    if definition.architecture != "soars_unet":
        raise RecipeRefused(
            f"the network {definition.architecture} has no operations to search: soars_unet has"
        )
    config = _config(definition.parameters)
    data = Data(for_weights=weights.sample, for_alphas=alphas.sample, loss=weights.loss)
    network = search(config, data, schedule, _said)
    return FoundArchitecture(
        operations=network.found(),
        gammas=tuple(tuple(row) for row in network.gammas()),
        equal_epochs=schedule.equal_epochs,
        alternating_epochs=schedule.alternating_epochs,
        seed=schedule.seed,
        for_weights=for_weights.cases,
        for_alphas=for_alphas.cases,
        recipe_sha256=recipe.sha256,
    )


def _config(numbers: Mapping[str, object]) -> SoarsUnetConfig:
    """Return the network's parameters, with any operations; ValueError where one does not fit."""
    channels = TypeAdapter(tuple[int, ...]).validate_python(
        numbers.get("channels", SoarsUnetConfig().channels)
    )
    plain = {**numbers, "operations": ["3d3"] * (2 * len(channels) - 1)}
    return TypeAdapter(SoarsUnetConfig).validate_python(plain)


def _said(epoch: Epoch) -> None:
    how = "alternating" if epoch.alternating else "equal weights"
    names = list(OPERATIONS)
    tops = " ".join(names[row.index(max(row))] for row in epoch.gammas) if epoch.alternating else ""
    sys.stderr.write(f"epoch {epoch.number} ({how}): loss {epoch.loss:.4f} {tops}\n")


def _schedule(parsed: argparse.Namespace, recipe: Recipe) -> SearchSchedule:
    given = {
        name: getattr(parsed, name)
        for name in ("equal_epochs", "alternating_epochs", "steps_an_epoch", "batch", "learning_rate")
        if getattr(parsed, name) is not None
    }
    return SearchSchedule(seed=recipe.schedule.seed, **given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="training.search", description=__doc__)
    parser.add_argument("recipe", type=Path, help="a recipe whose network is soars_unet")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="a prepared dataset")
    data.add_argument("--openkbp", type=Path, help="the OpenKBP folder")
    parser.add_argument("--out", type=Path, required=True, help="the architecture's file")
    parser.add_argument("--equal-epochs", type=int, help="epochs of equal weights (200)")
    parser.add_argument("--alternating-epochs", type=int, help="epochs of alternation (300)")
    parser.add_argument("--steps-an-epoch", type=int, help="batches per epoch (250)")
    parser.add_argument("--batch", type=int, help="samples per batch (2)")
    parser.add_argument(
        "--learning-rate", type=float, help="of RAdam (0.005; 0.001 for small and hard organs)"
    )
    parser.add_argument("--threads", type=int, default=2)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

"""The start of fine-tuning: a published version's contract and weights, and the recipe that trained it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from inference.contract import ModelContract, SliceStacks, Stratified, load_contract
from inference.server.runtimes.native import load_network
from training.cases import CaseSource, NotForTraining, Subset
from training.recipe import Recipe, RecipeRefused, StartRecipe, load_recipe
from training.trained import Trained

ROLE = "network"
_OF_THE_VERSION = {"format", "version", "provenance", "checksums", "plausibility", "trust"}


@dataclass(frozen=True, kw_only=True)
class Start:
    """A version to be adapted: its contract, its folder, and the recipe by which it continues to learn."""

    contract: ModelContract
    folder: Path
    recipe: Recipe

    @classmethod
    def of(cls, version: Path, recipe: Path) -> "Start":
        """Read a version and a recipe, of which schedule, patches, augmentation and loss are used.

        Raises ContractRefused, and RecipeRefused for a version that cannot be adapted or a recipe for other structures.
        """
        contract, own = load_contract(version), load_recipe(recipe)
        reason = _not_adaptable(contract)
        if reason is not None:
            raise RecipeRefused(f"{version}: {reason}")
        learned = own.draft().labels
        if learned != contract.labels:
            raise RecipeRefused(
                f"{recipe} is not a recipe of {version}: it learns {', '.join(learned)}, "
                f"and the version has {', '.join(contract.labels)}"
            )
        document = own.model_dump(mode="json") | {
            "contract": contract.model_dump(mode="json", exclude=_OF_THE_VERSION),
            "start": None,
            "data": f"{contract.provenance.data}; then, from version {contract.version}, other patients",
        }
        return cls(contract=contract, folder=version, recipe=Recipe.model_validate(document))

    @property
    def weights(self) -> StartRecipe:
        """The version's weights as the start of a recipe."""
        file = self.contract.native.networks[ROLE].weights
        return StartRecipe(weights=self.folder / file, sha256=self.contract.checksums[file])

    def network(self) -> nn.Module:
        """Return the version's network in evaluation mode. Raises RecipeRefused for a wrong file."""
        definition, start = self.contract.native.networks[ROLE], self.weights
        try:
            return load_network(definition, self.folder, start.sha256)
        except (ValueError, OSError) as error:
            raise RecipeRefused(f"{self.folder} cannot be loaded: {error}") from error

    def trained(self) -> Trained:
        """Return the version's network as that of a run without any step."""
        return Trained(network=self.network(), steps=0, spent_s=0.0)


def _not_adaptable(contract: ModelContract) -> str | None:
    if contract.runtime.kind != "native":
        return f"its runtime is {contract.runtime.kind}; only networks of this project are fine-tuned"
    how: Any = contract.native.pipeline
    if isinstance(how, Stratified):
        return "it runs several networks; fine-tuning is for pipelines of one"
    if isinstance(how, SliceStacks) and how.exclusive:
        return "its structures share a softmax, so none can keep its weights: train it from scratch"
    if contract.native.networks[ROLE].kept:
        return "it has outputs of an earlier version: fine-tune that one"
    return None


def check_patients(new: CaseSource, old: CaseSource | None) -> None:
    """Refuse patients that are trained on in one dataset and held out in the other. Raises NotForTraining."""
    if old is None:
        return
    for learned, judged in ((new, old), (old, new)):
        kept_back = {*judged.names(Subset.VAL), *judged.names(Subset.TEST)}
        both = sorted(kept_back & set(learned.names(Subset.TRAIN)))
        if both:
            raise NotForTraining(
                f"patients {', '.join(both[:5])} are trained on in one dataset and held out in the other: "
                "remove them from one of the two"
            )

"""A recipe: what is trained, how, and how it will be served, in one small TOML file."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inference.contract import ModelContract
from training.augment import Augmentation
from training.faults import faults_of
from training.loop import Schedule
from training.losses.catalogue import LossName
from training.precision import PrecisionWish
from training.search.architecture import ArchitectureRefused, load_architecture, with_architecture

VOI = "voi"  # the key of the settings that all networks of small organs share
_NO_CHECKSUM = "0" * 64
_NOT_MEASURED = [0.0, 0.0, 0.0]
_ROLES = ("anchor", "mid_level", "detector", VOI)
_ROLE_TABLES = ("schedule", "patches", "augmentation", "loss")
# Fields added later, with the earlier behaviour as default, so that a run begun without them can go on.
_LATER: dict[tuple[str, str], object] = {
    ("schedule", "momentum"): 0.99,
    ("schedule", "nesterov"): True,
    ("schedule", "least_share"): 0.003,
    ("schedule", "epoch_factor"): 1.0,
    ("schedule", "falling_epochs"): None,
    ("augmentation", "shift"): 0.0,
    ("loss", "positive_weight"): 1.0,
}


class RecipeRefused(Exception):
    """A recipe that cannot be trained as it stands; the message names the file and the field."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PatchRecipe(_Part):
    """Where patches are cut: the size is the pipeline's tile unless given.

    Weights by structure code, 1 where absent.
    """

    size_zyx: tuple[int, int, int] | None = None
    resized_yx: tuple[int, int] | None = None  # a crop of slices at another size in pixels
    structure_weights: dict[str, float] = Field(default_factory=dict)
    case_weights: dict[str, float] = Field(
        default_factory=dict
    )  # a case in which it is drawn counts this much more


class LossRecipe(_Part):
    """The loss by its name in training/losses/catalogue.py, and positive weights by structure code.

    ``positive_weight`` applies to every structure without its own. The weights fall to 1 between two fractions of the
    run.
    """

    name: LossName = "cross_entropy_and_dice"
    positive_weights: dict[str, float] = Field(default_factory=dict)
    positive_weight: float = Field(default=1.0, gt=0.0)
    annealed_between: tuple[float, float] = (1.0, 1.0)

    def strength(self, progress: float) -> float:
        """Return the share, 1 to 0, of the weights' excess over 1 that counts at a fraction of the run."""
        begin, end = self.annealed_between
        return 1.0 if progress <= begin else max(0.0, (end - progress) / max(end - begin, 1e-9))


class StartRecipe(_Part):
    """Weights to start from: a safetensors file, relative to the recipe, and its checksum."""

    weights: Path
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Recipe(_Part):
    """A whole recipe. ``contract`` is contract.json without format, version, provenance and checksums."""

    contract: dict[str, Any]
    data: str
    schedule: Schedule
    patches: PatchRecipe = PatchRecipe()
    augmentation: Augmentation = Augmentation()
    loss: LossRecipe = LossRecipe()
    start: StartRecipe | None = None
    precision: PrecisionWish = "auto"
    # For a pipeline of several networks: settings that differ by role, as tables of this recipe (schedule, patches,
    # augmentation, loss); ``voi`` stands for every small organ's network.
    roles: dict[str, dict[str, Any]] = Field(default_factory=dict)
    # The later strata learn from anchor maps by this many networks that did not see the patient; 0: by the one that
    # serves.
    guide_folds: int = Field(default=0, ge=0)
    # measured: a slice pipeline's mean and sd are those of the training CTs' grey levels
    grey_levels: Literal["stated", "measured"] = "stated"

    @model_validator(mode="after")
    def _weights_name_structures(self) -> Self:
        labels = set(self.draft().labels)
        for field, given in (
            ("patches.structure_weights", self.patches.structure_weights),
            ("patches.case_weights", self.patches.case_weights),
            ("loss.positive_weights", self.loss.positive_weights),
        ):
            unknown = sorted(given.keys() - labels)
            if unknown:
                raise ValueError(
                    f"{field} names {', '.join(unknown)}, which are not structures of the contract"
                )
        return self

    @model_validator(mode="after")
    def _roles_are_known(self) -> Self:
        for role, tables in self.roles.items():
            if role not in _ROLES:
                raise ValueError(f"roles has no {role!r}; there are {', '.join(_ROLES)}")
            unknown = sorted(tables.keys() - set(_ROLE_TABLES))
            if unknown:
                raise ValueError(f"roles.{role} has no {unknown[0]!r}; there are {', '.join(_ROLE_TABLES)}")
        if self.start is not None and len(self.draft().native.pipeline.roles) > 1:
            raise ValueError("start holds the weights of one network, and the pipeline runs several")
        return self

    def draft(self) -> ModelContract:
        """Return the contract under which the run validates: that of serving, except provenance and checksums."""
        networks = self.contract.get("runtime", {}).get("networks", {})
        files = {network.get("weights", "weights.safetensors") for network in networks.values()}
        document = {
            "format": 1,
            "version": 1,
            "provenance": {"data": self.data, "split": "not published", "validation": "not published"},
            "checksums": dict.fromkeys(sorted(files) or ["weights.safetensors"], _NO_CHECKSUM),
            **self.contract,
        }
        return ModelContract.model_validate(document)

    @property
    def sha256(self) -> str:
        """A digest of the recipe, which must not change for a run to be resumed."""
        document = self.model_dump(mode="json")
        for (part, field), before in _LATER.items():
            if document[part][field] == before:
                del document[part][field]
        for field in ("roles", "guide_folds"):
            if not document[field]:
                del document[field]
        if document["grey_levels"] == "stated":
            del document["grey_levels"]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def load_recipe(file: Path) -> Recipe:
    """Read a recipe file; ``searched = FILE`` sets the operations of a found architecture in its networks.

    Raises RecipeRefused, which names file and field.
    """
    try:
        document = _with_contract_written_out(tomllib.loads(file.read_text(encoding="utf-8")))
        recipe = Recipe.model_validate(_with_searched(document, file.parent))
    except ArchitectureRefused as error:
        raise RecipeRefused(f"{file}: searched: {error}") from error
    except OSError as error:
        raise RecipeRefused(f"{file}: {error.strerror}") from error
    except ValidationError as error:
        raise RecipeRefused(f"{file}: {faults_of(error)}") from error
    except ValueError as error:
        raise RecipeRefused(f"{file}: not valid TOML: {error}") from error
    if recipe.start is None:
        return recipe
    start = recipe.start.model_copy(update={"weights": file.parent / recipe.start.weights})
    if not start.weights.is_file():
        raise RecipeRefused(f"{file}: start.weights: {start.weights} is not a file")
    found = hashlib.sha256(start.weights.read_bytes()).hexdigest()
    if found != start.sha256:
        raise RecipeRefused(f"{file}: start.sha256 is {start.sha256}, but {start.weights} has {found}")
    return recipe.model_copy(update={"start": start})


def _with_contract_written_out(document: dict[str, Any]) -> dict[str, Any]:
    contract = document.get("contract")
    return {**document, "contract": written_out(contract)} if isinstance(contract, dict) else document


def _with_searched(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    if "searched" not in document:
        return document
    found = load_architecture(folder / str(document["searched"]))
    rest = {key: value for key, value in document.items() if key != "searched"}
    return {**rest, "contract": with_architecture(document.get("contract", {}), found)}


def written_out(contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's contract with short forms written out: small organs given by code, one network ``voi``."""
    runtime = contract.get("runtime", {})
    pipeline, networks = runtime.get("pipeline", {}), dict(runtime.get("networks", {}))
    if pipeline.get("name") != "stratified" or not pipeline.get("small"):
        return dict(contract)
    small = [
        {"code": organ, "largest_extent_mm": _NOT_MEASURED} if isinstance(organ, str) else organ
        for organ in pipeline["small"]
    ]
    shared = networks.pop(VOI, None)
    for organ in small if shared is not None else ():
        role = f"{VOI}_{organ['code']}"
        networks[role] = {**shared, "weights": f"{role.lower()}.safetensors"}
    runtime = {**runtime, "pipeline": {**pipeline, "small": small}, "networks": networks}
    return {**contract, "runtime": runtime}


def load_recipe_json(file: Path) -> Recipe:
    """Read the recipe kept in a run's folder. Raises RecipeRefused."""
    try:
        return Recipe.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeRefused(f"{file}: {error.strerror}: is this the folder of a run?") from error
    except ValueError as error:
        raise RecipeRefused(f"{file}: {faults_of(error)}") from error

"""Publish a run as a version of a Triton model, if it predicts there exactly what it predicted in training."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import numpy as np
import torch
from safetensors.torch import save as safetensors_bytes

from imaging.atomic_files import write_atomically
from inference.contract import CONTRACT_FILE, ModelContract, model_versions
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.runtimes.catalogue import load_predictor
from inference.triton_config import MODEL_ENTRY, write_triton_config
from training.cases import CaseSource, Spacing
from training.recipe import Recipe, load_recipe_json
from training.run_record import (
    RECIPE_FILE,
    RunRecord,
    last_validated,
    load_record,
    load_thresholds,
    validated,
)
from training.trained import Trained, Weights, trained_networks

_FIGURES = re.compile(r"(<!-- figures -->\n).*?(\n<!-- end of figures -->)", re.DOTALL)
_CPU = torch.device("cpu")

Image = tuple[np.ndarray, Spacing]  # HU int16 (z, y, x)


class NotPublished(Exception):
    """A run that cannot become a version of a model; nothing was written, and the message says why."""


@dataclass(frozen=True, kw_only=True)
class _Figures:
    steps: int
    training_s: float
    dice: dict[str, float]
    mean_dice: float | None


def publish(run: Path, repository: Path, images: list[Image], weights: Weights = "best") -> ModelContract:
    """Write the next version of the recipe's model: weights, contract, Triton's files, a card if there is none.

    On each of ``images``, the version's predictor, loaded from its files as the server loads it, must give the
    same bit planes as the run's networks in memory. Raises NotPublished, CheckpointRefused, before anything exists
    under the version's name.
    """
    if not images:
        raise NotPublished("no image to compare training's prediction with the version's")
    recipe, record = load_recipe_json(run / RECIPE_FILE), load_record(run)
    trained = trained_networks(run, recipe, weights)
    if len(trained) > 1 and weights == "last":
        raise NotPublished(
            "of a run of several networks the best weights are published: they were scored together"
        )
    networks = {role: one.network for role, one in trained.items()}
    files = {
        recipe.draft().native.networks[role].weights: safetensors_bytes(
            {name: value.contiguous() for name, value in network.state_dict().items()}
        )
        for role, network in networks.items()
    }
    figures = _figures(run, trained, recipe)
    model = repository / recipe.contract["name"]
    known = model_versions(model) if model.is_dir() else {}
    what = (max(known, default=0) + 1, files)
    contract = with_limits(_contract(recipe, record, figures, what, load_thresholds(run)), known)
    part = model / f".{contract.version}.part"
    rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        _write_version(part, contract, files)
        _compare(part, contract, networks, images)
        part.rename(model / str(contract.version))
    finally:
        rmtree(part, ignore_errors=True)
        if not any(model.iterdir()):
            model.rmdir()
    write_triton_config(model)
    _write_card(model / "README.md", contract, figures)
    return contract


def with_limits(contract: ModelContract, known: Mapping[int, ModelContract]) -> ModelContract:
    """Give a new version the plausibility limits of the newest known version that has the same structures.

    Limits describe the organs of the training set more than a network; without them, a new version would deliver what
    the version before left out. They should be learned again all the same (python -m training.plausibility).
    """
    for _, before in sorted(known.items(), reverse=True):
        if before.plausibility is not None and set(before.labels) == set(contract.labels):
            limits = before.plausibility.model_dump(mode="json")
            return ModelContract.model_validate({**contract.model_dump(mode="json"), "plausibility": limits})
    return contract


def _figures(run: Path, trained: Mapping[str, Trained], recipe: Recipe) -> _Figures:
    """Return a run's figures; of several networks, summed steps and seconds, and the whole pipeline's validation."""
    steps = [one.steps for one in trained.values()]
    row = validated(run, steps[0]) if len(steps) == 1 else last_validated(run)
    labels = recipe.draft().labels
    return _Figures(
        steps=sum(steps),
        training_s=round(sum(one.spent_s for one in trained.values()), 1),
        dice={label: row[label] for label in labels if label in row},
        mean_dice=row.get("mean"),
    )


def _contract(
    recipe: Recipe,
    record: RunRecord,
    figures: _Figures,
    what: tuple[int, Mapping[str, bytes]],
    thresholds: dict[str, float],
) -> ModelContract:
    version, files = what
    document = recipe.draft().model_dump(mode="json")
    for structure in document["structures"]:
        structure["threshold"] = thresholds.get(structure["code"], structure["threshold"])
    document |= {
        "version": version,
        "checksums": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "provenance": {
            "data": recipe.data,
            "split": record.split_in_words,
            "steps": figures.steps,
            "training_s": figures.training_s,
            "validation": "mean Dice per structure over the validation patients in whom it was contoured, "
            "of the served predictor's masks; the weights were chosen by their mean",
            "validation_dice": figures.dice,
            "validation_mean_dice": figures.mean_dice,
        },
    }
    return ModelContract.model_validate(document)


def _write_version(folder: Path, contract: ModelContract, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    text = json.dumps(contract.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / CONTRACT_FILE).write_text(text + "\n", encoding="utf-8")
    (folder / "model.py").write_text(MODEL_ENTRY, encoding="utf-8")


def _compare(
    folder: Path, contract: ModelContract, networks: Mapping[str, torch.nn.Module], images: list[Image]
) -> None:
    """Raise NotPublished where the version predicts any voxel differently from the run's networks, both in float32."""
    exact = contract.native.model_copy(update={"precision": "float32"})
    compared = contract.model_copy(update={"runtime": exact})
    trained = build_pipeline(compared, networks, _CPU)
    served = load_predictor(compared, folder, _CPU)
    for number, (hu, spacing) in enumerate(images, 1):
        differing = int((trained.predict(hu, spacing).planes != served.predict(hu, spacing).planes).sum())
        if differing:
            raise NotPublished(
                f"image {number}: {differing} voxels differ between training's prediction and the version's"
            )


def comparison_images(source: CaseSource, names: list[str]) -> list[Image]:
    """Return the CTs of the first two of these cases."""
    cases = (source.case(name) for name in names[:2])
    return [(np.array(case.hu_zyx), case.spacing_zyx_mm) for case in cases]


def _write_card(card: Path, contract: ModelContract, figures: _Figures) -> None:
    """Write a card from the contract, or update the figures between the marks of an existing one."""
    rows = [f"| {label} | {value:.3f} |" for label, value in figures.dice.items()]
    mean = "not measured" if figures.mean_dice is None else f"{figures.mean_dice:.3f}"
    table = "\n".join(
        [
            f"Version {contract.version}: {figures.steps} steps in {figures.training_s / 60:.0f} minutes.",
            "",
            "| structure | Dice |",
            "|---|---|",
            *rows,
            f"| mean | {mean} |",
        ]
    )
    text = card.read_text(encoding="utf-8") if card.exists() else _card(contract)
    write_atomically(card, _FIGURES.sub(lambda match: match[1] + table + match[2], text))


def _card(contract: ModelContract) -> str:
    return f"""# {contract.name}: {contract.description}

For research use. Not a medical device: every contour must be reviewed by a qualified person before anything is done with it.

**Structures.** {", ".join(contract.labels)}.

**Data.** {contract.provenance.data}. {contract.provenance.split}. Licence: {contract.licence}.

**Figures.** {contract.provenance.validation}:

<!-- figures -->

<!-- end of figures -->

**Limits.** Say here what the data did not hold: positions, contrast, metal, children, other scanners.
"""

"""Recipes side by side at equal steps, over seeds: a table with spread and paired tests; each run resumes where it broke off."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.statistics import paired_wilcoxon
from training.cases import CaseSource, Subset
from training.distributed import World
from training.faults import faults_of
from training.loop import TrainingRun
from training.organ_task import OrganTask
from training.precision import chosen_precision
from training.progress import ShowProgress, silent
from training.recipe import Recipe, RecipeRefused, load_recipe
from training.run_record import begin
from training.strata import StrataRun, is_stratified

_SCORES = "scores.json"

Scores = dict[str, dict[str, float]]  # Dice by patient and structure


class Row(BaseModel):
    """One row: the recipe with changes, dotted names to values ('schedule.learning_rate'), on some of the patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9 ,.+()/-]+$")
    recipe: Path | None = None  # another than the study's
    changes: dict[str, Any] = Field(default_factory=dict)
    patients: int | None = Field(default=None, ge=1)  # the first so many training patients


class Study(BaseModel):
    """A study file (TOML). The first row is what the others are compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    recipe: Path
    seeds: tuple[int, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=2)


class FewerPatients:
    """A source with only the first so many training patients; validation stays whole."""

    def __init__(self, source: CaseSource, patients: int) -> None:
        self.structures, self.case = source.structures, source.case
        self._source, self._patients = source, patients

    def names(self, subset: Subset) -> tuple[str, ...]:
        """The patients of a subset."""
        names = self._source.names(subset)
        return names[: self._patients] if subset is Subset.TRAIN else names


def load_study(file: Path) -> Study:
    """Read a study file. Raises RecipeRefused with file and field."""
    try:
        study = Study.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecipeRefused(f"{file}: {error.strerror}") from error
    except (ValidationError, ValueError) as error:
        raise RecipeRefused(f"{file}: {faults_of(error)}") from error
    names = [row.name for row in study.rows]
    if len(set(names)) != len(names):
        raise RecipeRefused(f"{file}: two rows have one name")
    rows = tuple(
        row.model_copy(update={"recipe": file.parent / (row.recipe or study.recipe)}) for row in study.rows
    )
    return study.model_copy(update={"rows": rows})


def run_study(
    study: Study,
    source: CaseSource,
    data: Path,
    out: Path,
    *,
    said: Callable[[str], None],
    show: ShowProgress = silent,
) -> str:
    """Train and score what is not there yet, and give the table in Markdown; every row is checked before the first step."""
    recipes = {row.name: changed(load_recipe(row.recipe or study.recipe), row.changes) for row in study.rows}
    found: dict[str, list[Scores]] = {row.name: [] for row in study.rows}
    for row in study.rows:
        for seed in study.seeds:
            schedule = recipes[row.name].schedule.model_copy(update={"seed": seed})
            recipe = recipes[row.name].model_copy(update={"schedule": schedule})
            patients = FewerPatients(source, row.patients) if row.patients else source
            said(f"{row.name}, seed {seed}")
            folder = out / row.name.replace(" ", "_").replace("/", "_") / str(seed)
            found[row.name].append(_one(recipe, patients, data, folder, show))
    return as_table(found)


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with dotted names set to values. Raises RecipeRefused for a name or value that it does not have."""
    document = recipe.model_dump()
    for dotted, value in changes.items():
        *path, last = dotted.split(".")
        part: Any = document
        for step in path:
            part = part.get(step) if isinstance(part, dict) else None
        if not isinstance(part, dict) or (last not in part and path[:1] != ["contract"]):
            raise RecipeRefused(f"a recipe has no {dotted!r}")
        part[last] = value
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeRefused(f"changes {dict(changes)}: {faults_of(error)}") from error


def _one(recipe: Recipe, source: CaseSource, data: Path, folder: Path, show: ShowProgress) -> Scores:
    if (folder / _SCORES).exists():
        found: Scores = json.loads((folder / _SCORES).read_text(encoding="utf-8"))
        return found
    world = World(device=torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"))
    precision = chosen_precision(recipe.precision, world.device)
    if is_stratified(recipe):
        run = StrataRun(
            recipe=recipe,
            source=source,
            data=data,
            folder=folder,
            world=world,
            precision=precision,
            show=show,
        )
        return _kept(run.train()[1], folder)
    task = OrganTask(recipe, source, world.device)
    begin(folder, recipe, source, data, precision)
    training = TrainingRun(task, recipe.schedule, folder, world, precision)
    training.train(show)
    training.network.load_state_dict(training.averaged)
    with torch.inference_mode():
        return _kept(task.scores(training.network.eval()), folder)


def _kept(scores: Scores, folder: Path) -> Scores:
    part = folder / f".{_SCORES}.part"
    part.write_text(json.dumps(scores, indent=1), encoding="utf-8")
    part.replace(folder / _SCORES)
    return scores


def as_table(found: Mapping[str, list[Scores]]) -> str:
    """Markdown. A mean is over structures of means over patients; SD is over patients' own means, of the first seed.

    The test pairs patients (the mean over their structures and over seeds) with the first row's.
    """
    structures = _structures(found)
    lines = [
        f"| recipe | seeds | {' | '.join(structures)} | mean | spread of seeds | SD of patients | difference | p |",
        "|" + "---|" * (len(structures) + 7),
    ]
    first = _by_patient(next(iter(found.values())))
    for name, runs in found.items():
        by_structure = [np.mean([_mean(run, code) for run in runs]) for code in structures]
        means = [float(np.mean([_mean(run, code) for code in structures])) for run in runs]
        spread = f"{min(means):.3f} to {max(means):.3f}" if len(means) > 1 else "one run"
        own = _by_patient(runs)
        pairs = ([own[p] for p in first], [first[p] for p in first])
        difference = float(np.mean(np.subtract(*pairs)))
        p = paired_wilcoxon(*pairs).p
        test = f"{difference:+.3f} | {'' if p is None else f'{p:.3f}'}"
        patients = f"{np.std(list(own.values()), ddof=1):.3f}" if len(own) > 1 else "one patient"
        lines.append(
            f"| {name} | {len(runs)} | {' | '.join(f'{v:.3f}' for v in by_structure)} | {np.mean(means):.3f} | {spread} "
            f"| {patients} | {test} |"
        )
    return "\n".join(lines)


def _structures(found: Mapping[str, list[Scores]]) -> list[str]:
    return list(
        dict.fromkeys(code for runs in found.values() for run in runs for row in run.values() for code in row)
    )


def _mean(run: Scores, code: str) -> float:
    return float(np.mean([row[code] for row in run.values() if code in row]))


def _by_patient(runs: list[Scores]) -> dict[str, float]:
    return {
        p: float(np.mean([np.mean(list(run[p].values())) for run in runs])) for p in runs[0] if runs[0][p]
    }

"""Studies: recipes compared at equal steps, over seeds, in a table with spread and paired tests.

Each run resumes where it was interrupted.
"""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imaging.atomic_files import write_atomically
from training.cases import CaseSource, Subset
from training.distributed import World
from training.faults import faults_of
from training.loop import TrainingRun
from training.measured import measured
from training.organ_task import OrganTask
from training.precision import chosen_precision
from training.progress import ShowProgress, silent
from training.recipe import Recipe, RecipeRefused, load_recipe
from training.run_record import begin
from training.strata import StrataRun, is_stratified
from training.study_table import RunScores, as_table, run_scores, scored

_SCORES = "scores.json"


class Row(BaseModel):
    """One row: the recipe with changes, values by dotted name ('schedule.learning_rate'), on some or all patients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9 ,.+()/_-]+$")
    recipe: Path | None = None  # other than the study's
    changes: dict[str, Any] = Field(default_factory=dict)
    patients: int | None = Field(default=None, ge=1)  # only the first training patients, this many


class Study(BaseModel):
    """A study file (TOML). The first row is what the others are compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    recipe: Path
    seeds: tuple[int, ...] = Field(min_length=1)
    rows: tuple[Row, ...] = Field(min_length=2)


class FewerPatients:
    """A source with only the first ``patients`` training patients; validation is not reduced."""

    def __init__(self, source: CaseSource, patients: int) -> None:
        self.structures, self.case = source.structures, source.case
        self._source, self._patients = source, patients

    def names(self, subset: Subset) -> tuple[str, ...]:
        """Return the patients of a subset."""
        names = self._source.names(subset)
        return names[: self._patients] if subset is Subset.TRAIN else names


def load_study(file: Path, recipe: Path | None = None) -> Study:
    """Read a study file, with another default recipe if given. Raises RecipeRefused, which names file and field."""
    try:
        study = Study.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecipeRefused(f"{file}: {error.strerror}") from error
    except (ValidationError, ValueError) as error:
        raise RecipeRefused(f"{file}: {faults_of(error)}") from error
    names = [row.name for row in study.rows]
    if len(set(names)) != len(names):
        raise RecipeRefused(f"{file}: two rows have the same name")
    own = recipe or file.parent / study.recipe
    rows = tuple(
        row.model_copy(update={"recipe": file.parent / row.recipe if row.recipe else own})
        for row in study.rows
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
    """Train and score the missing runs, and return the table in Markdown.

    Every row is checked before the first step.
    """
    recipes = {row.name: changed(load_recipe(row.recipe or study.recipe), row.changes) for row in study.rows}
    found: dict[str, list[RunScores]] = {row.name: [] for row in study.rows}
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
    """Return the recipe with values set by dotted names. Raises RecipeRefused for an unknown name or bad value."""
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


def _one(recipe: Recipe, source: CaseSource, data: Path, folder: Path, show: ShowProgress) -> RunScores:
    if (folder / _SCORES).exists():
        return RunScores.model_validate_json((folder / _SCORES).read_text(encoding="utf-8"))
    world = World(device=torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"))
    precision = chosen_precision(recipe.precision, world.device)
    if is_stratified(recipe):
        strata = StrataRun(
            recipe=recipe,
            source=source,
            data=data,
            folder=folder,
            world=world,
            precision=precision,
            show=show,
        )
        strata.train()
        return _kept(run_scores(strata.predicted(), strata.parameters()), folder)
    recipe = measured(recipe, source)
    task = OrganTask(recipe, source, world.device)
    begin(folder, recipe, source, data, precision)
    run = TrainingRun(task, recipe.schedule, folder, world, precision)
    run.train(show)
    run.network.load_state_dict(run.averaged)
    return _kept(scored(task, run.network.eval()), folder)


def _kept(scores: RunScores, folder: Path) -> RunScores:
    write_atomically(folder / _SCORES, scores.model_dump_json(indent=1))
    return scores

"""The record in a run's folder: recipe, data and precision; a run can only be resumed unchanged."""

import csv
import json
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from imaging.atomic_files import write_atomically
from training.cases import CaseSource, Subset
from training.faults import faults_of
from training.loop import TrainingStopped
from training.precision import Precision
from training.recipe import Recipe

RECIPE_FILE = "recipe.json"
THRESHOLDS_FILE = "thresholds.json"
_RECORD_FILE = "run.json"


class RunRecord(BaseModel):
    """run.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe_sha256: str
    data: str  # the folder of the dataset
    split: dict[str, tuple[str, ...]]  # the names that were trained and validated on; no test patient
    precision: str
    precision_reason: str
    torch_version: str

    @property
    def split_in_words(self) -> str:
        """The split as text for contract and card."""
        counts = f"{len(self.split['train'])} for training, {len(self.split['val'])} for validation"
        return f"fixed by patient before training: {counts}; test patients, where there are any, were never looked at"


def begin(folder: Path, recipe: Recipe, source: CaseSource, data: Path, precision: Precision) -> RunRecord:
    """Write the record of a new run, or check that an existing one is resumed unchanged.

    Raises TrainingStopped where recipe or split differ from those of the folder.
    """
    record = RunRecord(
        recipe_sha256=recipe.sha256,
        data=str(data.resolve()),
        split={subset: source.names(subset) for subset in (Subset.TRAIN, Subset.VAL)},
        precision=precision.name,
        precision_reason=precision.reason,
        torch_version=torch.__version__,
    )
    if (folder / _RECORD_FILE).exists():
        _check_same(load_record(folder), record, folder)
        return record
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RECIPE_FILE, recipe.model_dump_json(indent=1) + "\n")
    write_atomically(folder / _RECORD_FILE, record.model_dump_json(indent=1) + "\n")
    return record


def load_record(folder: Path) -> RunRecord:
    """Read a run's record. Raises TrainingStopped where there is none."""
    file = folder / _RECORD_FILE
    try:
        return RunRecord.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingStopped(
            f"{file} cannot be read ({faults_of(error)}): is {folder} the folder of a run?"
        ) from error


def write_thresholds(folder: Path, thresholds: dict[str, float]) -> None:
    """Write the thresholds that a run's version will have."""
    write_atomically(folder / THRESHOLDS_FILE, json.dumps(thresholds, indent=1) + "\n")


def load_thresholds(folder: Path) -> dict[str, float]:
    """Return the thresholds chosen for a run; empty where none were chosen, so that the recipe's apply."""
    file = folder / THRESHOLDS_FILE
    found: dict[str, float] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def validated(folder: Path, step: int) -> dict[str, float]:
    """Return the figures of a run's validation at a step; empty where there are none."""
    return next((row for at, row in _validations(folder) if at == step), {})


def last_validated(folder: Path) -> dict[str, float]:
    """Return the figures of a run's last validation; empty where there are none."""
    return next((row for _, row in reversed(_validations(folder))), {})


def _validations(folder: Path) -> list[tuple[int, dict[str, float]]]:
    file = folder / "validation.csv"
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as rows:
        return [
            (
                int(row["step"]),
                {name: float(value) for name, value in row.items() if name != "step" and value},
            )
            for row in csv.DictReader(rows)
        ]


def _check_same(before: RunRecord, now: RunRecord, folder: Path) -> None:
    for field in ("recipe_sha256", "split", "precision"):
        if getattr(before, field) != getattr(now, field):
            what = {"recipe_sha256": "recipe", "split": "split of the patients", "precision": "precision"}[
                field
            ]
            raise TrainingStopped(
                f"{folder} was begun with another {what}: choose another folder for this run"
            )

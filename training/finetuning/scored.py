"""The scores of networks on new and old patients, kept with the network; and the tables of all ways."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.atomic_files import write_atomically
from training.cases import CaseSource
from training.checkpoints import write_checkpoint
from training.organ_task import OrganTask
from training.recipe import Recipe
from training.study_table import RunScores, as_table, run_scores
from training.trained import Trained

NETWORK_FILE = "network.pt"
_SCORES_FILE = "scores.json"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A network on the new patients' validation cases, and on the old ones', if there are any."""

    new: RunScores
    old: RunScores | None

    @property
    def mean(self) -> float:
        """The mean over structures of the mean Dice over new patients."""
        return float(np.mean(list(_means(self.new).values())))


def kept_scores(
    folder: Path, recipe: Recipe, new: CaseSource, old: CaseSource | None, learned: Callable[[], Trained]
) -> Scored:
    """Return the scores in a folder, or those of a network that is made now and kept with them."""
    file = folder / _SCORES_FILE
    if not file.exists():
        made = learned()
        found = {"new": _scores(made, recipe, new)}
        if old is not None:
            found["old"] = _scores(made, recipe, old)
        folder.mkdir(parents=True, exist_ok=True)
        state = {"step": made.steps, "spent_s": made.spent_s}
        write_checkpoint({"averaged": made.network.state_dict(), "state": state}, folder / NETWORK_FILE)
        write_atomically(file, json.dumps({name: one.model_dump() for name, one in found.items()}, indent=1))
    document = json.loads(file.read_text(encoding="utf-8"))
    scores = {name: RunScores.model_validate(one) for name, one in document.items()}
    return Scored(new=scores["new"], old=scores.get("old"))


def tables(found: Mapping[str, Scored]) -> list[str]:
    """Return Markdown tables: all ways on new patients and, if any, on old ones; the first row is the old version."""
    new = {name: [one.new] for name, one in found.items()}
    old = {name: [one.old] for name, one in found.items() if one.old is not None}
    return [
        f"New patients\n\n{as_table(new)}",
        *([f"Old patients\n\n{as_table(old)}"] if len(old) == len(new) else []),
    ]


def mean_by_structure(before: RunScores | None, after: RunScores | None) -> dict[str, tuple[float, float]]:
    """Return the mean Dice of each structure in two runs; empty where either was not scored."""
    if before is None or after is None:
        return {}
    one, other = _means(before), _means(after)
    return {code: (one[code], other[code]) for code in one}


def _scores(made: Trained, recipe: Recipe, source: CaseSource) -> RunScores:
    parameters = sum(values.numel() for values in made.network.parameters())
    return run_scores(OrganTask(recipe, source).predicted(made.network), parameters)


def _means(scores: RunScores) -> dict[str, float]:
    codes = dict.fromkeys(code for row in scores.dice.values() for code in row)
    return {
        code: float(np.mean([row[code] for row in scores.dice.values() if code in row])) for code in codes
    }

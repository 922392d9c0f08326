"""Fine-tuning in a folder: every way learns and is scored on new and old patients; the best is accepted.

There is one folder per number of patients, and in it one per way; finished work is not repeated. ``accepted`` is a run
for `publish`: the way with the highest mean, in which structures that got worse keep their old weights.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from training.cases import CaseSource, NotForTraining, Subset
from training.distributed import World
from training.finetuning.acceptance import as_table, decisions
from training.finetuning.accepted_run import AcceptedRun
from training.finetuning.scored import Scored, kept_scores, mean_by_structure, tables
from training.finetuning.start import ROLE, Start, check_patients
from training.finetuning.ways import (
    STILL,
    WAYS,
    Budget,
    FoldTask,
    ReplayTask,
    Way,
    schedule_of,
    slices_an_epoch,
)
from training.loop import State, Task, TrainingRun
from training.organ_task import OrganTask
from training.precision import Precision, chosen_precision
from training.progress import ShowProgress, silent
from training.recipe import Recipe, RecipeRefused
from training.run_record import begin
from training.search.halves import PartOfTraining
from training.study import FewerPatients
from training.trained import Trained, trained_network

_BEFORE = "before"


@dataclass(kw_only=True)
class FineTuning:
    """One version, new patients, optionally old ones, and a folder."""

    start: Start
    new: CaseSource
    data: Path
    folder: Path
    old: CaseSource | None = None
    budget: Budget = field(default_factory=Budget)
    ways: tuple[Way, ...] = ("budgeted", "scratch")
    said: Callable[[str], None] = lambda _: None
    show: ShowProgress = silent

    def run(self, patients: Iterable[int | None]) -> str:
        """Fine-tune on each of these numbers of training patients (None: all); return tables in Markdown.

        Raises RecipeRefused and NotForTraining before the first step.
        """
        counts = self._checked(patients)
        precision = chosen_precision(self.start.recipe.precision, torch.device("cpu"))
        before = self._scored(self.folder / _BEFORE, self.start.trained)
        found, accepted = {_BEFORE: before}, []
        for count in counts:
            rows = {way: self._way(way, count, precision) for way in self.ways}
            found |= {f"{way}, {count} patients": row for way, row in rows.items()}
            accepted.append(self._accepted(count, before, rows, precision))
        return "\n\n".join([*tables(found), *accepted])

    def _checked(self, patients: Iterable[int | None]) -> list[int]:
        there = len(self.new.names(Subset.TRAIN))
        counts = [count or there for count in patients]
        if not all(0 < count <= there for count in counts):
            raise RecipeRefused(f"the dataset has {there} training patients, not {max(counts)}")
        if not self.ways:
            raise RecipeRefused(f"no way is named; there are {', '.join(WAYS)}")
        if "study" in self.ways and min([*counts, self.budget.folds]) < 2:
            raise RecipeRefused(
                "the study's way holds out a fold: it needs at least two patients and two folds"
            )
        if "replay" in self.ways and self.old is None:
            raise RecipeRefused("replay also learns from old patients: give their dataset with --old")
        if not self.new.names(Subset.VAL):
            raise NotForTraining("the split has no patient in 'val': nothing could be accepted")
        check_patients(self.new, self.old)
        for source in (self.new, *([self.old] if self.old is not None else [])):
            OrganTask(self.start.recipe, source)
        return counts

    def _way(self, way: Way, count: int, precision: Precision) -> Scored:
        folder, source = self.folder / str(count) / way, FewerPatients(self.new, count)
        self.said(f"{way}, {count} patients")
        if way == "study":
            return self._scored(folder, lambda: self._study(folder, source, precision))
        recipe = self._recipe(way)
        task: Task = OrganTask(recipe, source)
        if way == "replay":
            assert self.old is not None  # checked before the first step
            old = OrganTask(recipe, self.old)
            task = ReplayTask(OrganTask(recipe, source), old, self.budget.replay_share)

        def learned() -> Trained:
            begin(folder, recipe, source, self.data, precision)
            TrainingRun(task, recipe.schedule, folder, World(), precision).train(self.show)
            return trained_network(folder, recipe, ROLE, "last")

        return self._scored(folder, learned)

    def _study(self, folder: Path, source: CaseSource, precision: Precision) -> Trained:
        """Return, of all epochs of all folds, the network with the lowest loss on its own held-out fold."""
        names = source.names(Subset.TRAIN)
        folds = min(self.budget.folds, len(names))
        states: dict[Path, State] = {}
        for fold in range(folds):
            place, held_out = folder / f"fold_{fold}", names[fold::folds]
            rest = PartOfTraining(source=source, cases=tuple(n for n in names if n not in held_out))
            recipe = self._recipe("study", self.budget.epoch_steps or slices_an_epoch(rest))
            begin(place, recipe, rest, self.data, precision)
            still = recipe.model_copy(update={"augmentation": STILL})
            judged = OrganTask(still, PartOfTraining(source=source, cases=held_out))
            task = FoldTask(OrganTask(recipe, rest), judged)
            states[place] = TrainingRun(task, recipe.schedule, place, World(), precision).train(self.show)
        best = max(states, key=lambda place: states[place].best_mean)
        self.said(f"study: {best.name} at step {states[best].best_step} has the lowest loss of its fold")
        return trained_network(best, self._recipe("study"), ROLE)

    def _recipe(self, way: Way, epoch_steps: int = 1) -> Recipe:
        schedule = schedule_of(way, self.start.recipe, self.budget, epoch_steps)
        weights = None if way == "scratch" else self.start.weights
        return self.start.recipe.model_copy(update={"schedule": schedule, "start": weights})

    def _scored(self, folder: Path, learned: Callable[[], Trained]) -> Scored:
        return kept_scores(folder, self.start.recipe, self.new, self.old, learned)

    def _accepted(self, count: int, before: Scored, rows: dict[Way, Scored], precision: Precision) -> str:
        """Write the run that may be published, if any structure improved, and explain each structure's decision."""
        way = max(rows, key=lambda one: rows[one].mean)
        found = decisions(before.new.dice, rows[way].new.dice, self.start.contract.left_right_pairs)
        head = f"**{count} patients: {way} has the highest mean.**"
        if any(one.accepted for one in found):
            folder, source = self.folder / str(count), FewerPatients(self.new, count)
            run = AcceptedRun(start=self.start, source=source, data=self.data, folder=folder / "accepted")
            run.write(folder / way, f"{count} training patients, {way}", found, precision)
        else:
            head += " No structure got better: there is nothing to publish."
        old = mean_by_structure(before.old, rows[way].old)
        return f"{head}\n\n{as_table(found, old)}"

"""A run of a pipeline of several networks: each role in a folder of its own, with the earlier networks frozen.

The anchors come first. Their probabilities guide mid-level and detector: those of the network that will serve, or, with
``guide_folds``, those of networks that were trained without the patient. Then each small organ in its volume of
interest.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from inference.contract import Stratified
from inference.server.heat_maps import Detection
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.pipelines.stratified import StratifiedPipeline
from training.cases import CaseSource, Subset
from training.curves import Curves
from training.distributed import World
from training.guides import Guides
from training.loop import State, Task, TrainingRun, TrainingStopped
from training.measured import measured
from training.organ_task import Beside, OrganTask, Predicted, dice_by_case, mirror_order, predicted
from training.precision import Precision
from training.progress import ShowProgress, silent
from training.recipe import VOI, Recipe
from training.roles import learned, role_recipe
from training.run_record import begin
from training.search.halves import PartOfTraining
from training.small_organs import DetectorTask, VoiTask
from training.trained import Weights, trained_network, trained_networks

Scores = dict[str, dict[str, float]]  # Dice by case and structure


def is_stratified(recipe: Recipe) -> bool:
    """Tell whether a recipe trains several networks."""
    return len(recipe.draft().native.pipeline.roles) > 1


@dataclass(kw_only=True)
class StrataRun:
    """The run of a recipe of several networks, in a folder."""

    recipe: Recipe
    source: CaseSource
    data: Path
    folder: Path
    world: World
    precision: Precision
    said: Callable[[str], None] = lambda _: None
    show: ShowProgress = silent
    _detected: dict[str, dict[str, Detection]] = field(default_factory=dict)  # by validation case and organ

    def train(self) -> tuple[State, Scores]:
        """Train the missing networks, role by role; then score the whole pipeline on the validation cases.

        Returns the state of all roles together (``best_mean`` is the pipeline's), and Dice by case and structure.
        Raises RecipeRefused before the first step, TrainingStopped.
        """
        if self.world.size > 1:
            raise TrainingStopped("a pipeline of several networks is trained by one process, not by several")
        self.recipe = measured(self.recipe, self.source)
        roles = self.recipe.draft().native.pipeline.roles
        for role in roles:
            role_recipe(self.recipe, role)
        begin(self.folder, self.recipe, self.source, self.data, self.precision)
        total = State()
        for role in roles:
            self.said(f"{role}: {', '.join(learned(self.recipe, role))}")
            done = self._train_role(role)
            total.step, total.spent_s = total.step + done.step, total.spent_s + done.spent_s
        return total, self._whole(total)

    def _train_role(self, role: str) -> State:
        organs = self._organs(role)
        if role == "detector":
            return self._run(DetectorTask(organs), organs.recipe, role)
        if role.startswith(f"{VOI}_"):
            code = role.removeprefix(f"{VOI}_")
            found = {name: organs_found.get(code) for name, organs_found in self._detections().items()}
            return self._run(VoiTask(organs, found), organs.recipe, role)
        return self._run(organs, organs.recipe, role)

    def _run(self, task: Task, recipe: Recipe, name: str) -> State:
        folder = self.folder / name
        begin(folder, recipe, self.source, self.data, self.precision)
        return TrainingRun(task, recipe.schedule, folder, self.world, self.precision).train(self.show)

    def _organs(self, role: str) -> OrganTask:
        recipe = role_recipe(self.recipe, role)
        codes, how = learned(self.recipe, role), recipe.draft().native.pipeline
        assert isinstance(how, Stratified)
        guided = how.anchors_in_voi if role.startswith(f"{VOI}_") else how.anchors_guide
        if role == "anchor":
            beside = Beside(role=role, codes=codes)
        else:
            guides = self._guides() if guided else None
            beside = Beside(role=role, codes=codes, frozen=self._frozen(), guides=guides)
        return OrganTask(recipe, self.source, self.world.device, beside)

    def _frozen(self) -> dict[str, nn.Module]:
        return {"anchor": trained_network(self.folder / "anchor", self.recipe, "anchor").network}

    def _guides(self) -> Guides:
        folds = self._folds()
        serving = self._anchor_pipeline(self.folder / "anchor", "best")
        without = {
            name: self._anchor_pipeline(folder, "last") for folder, names in folds.items() for name in names
        }
        recipe = role_recipe(self.recipe, "anchor")
        return Guides(
            folder=self.folder / "guides",
            pipeline_for=lambda name: without.get(name, serving),
            mirror_order=mirror_order(learned(recipe, "anchor"), recipe.draft().left_right_pairs),
        )

    def _anchor_pipeline(self, folder: Path, weights: Weights) -> StratifiedPipeline:
        recipe = role_recipe(self.recipe, "anchor")
        network = trained_network(folder, recipe, "anchor", weights).network
        found = build_pipeline(recipe.draft(), {"anchor": network}, self.world.device)
        assert isinstance(found, StratifiedPipeline)
        return found

    def _folds(self) -> dict[Path, tuple[str, ...]]:
        """Train the anchor networks of the folds, if any; return each folder's held-out training cases."""
        count = self.recipe.guide_folds
        names = self.source.names(Subset.TRAIN)
        found = {}
        for fold in range(count):
            unseen = names[fold::count]
            rest = PartOfTraining(source=self.source, cases=tuple(n for n in names if n not in unseen))
            recipe, folder = role_recipe(self.recipe, "anchor"), self.folder / f"anchor_fold_{fold}"
            begin(folder, recipe, rest, self.data, self.precision)
            task = OrganTask(recipe, rest, self.world.device)
            TrainingRun(task, recipe.schedule, folder, self.world, self.precision).train(self.show)
            found[folder] = unseen
        return found

    def _detections(self) -> dict[str, dict[str, Detection]]:
        """Return the trained detector's detections by validation case and organ."""
        if not self._detected:
            network = trained_network(self.folder / "detector", self.recipe, "detector").network
            with torch.inference_mode():
                self._detected = DetectorTask(self._organs("detector")).detected(network)
        return self._detected

    def predicted(self) -> Iterator[Predicted]:
        """Return the validation cases with what the whole pipeline of trained networks finds."""
        contract = self.recipe.draft()
        order = [self.source.structures.index(code) for code in contract.labels]
        cases = (self.source.case(name).with_structures(order) for name in self.source.names(Subset.VAL))
        pipeline = build_pipeline(contract, self._networks(), self.world.device)
        return predicted(pipeline, contract, cases, contract.labels)

    def parameters(self) -> int:
        """Return the number of parameters of all networks together."""
        return sum(values.numel() for one in self._networks().values() for values in one.parameters())

    def _networks(self) -> dict[str, nn.Module]:
        return {role: found.network for role, found in trained_networks(self.folder, self.recipe).items()}

    def _whole(self, total: State) -> Scores:
        with torch.inference_mode():
            found = dice_by_case(self.predicted())
        labels = self.recipe.draft().labels
        by_code = {code: [row[code] for row in found.values() if code in row] for code in labels}
        means = {code: float(np.mean(values)) for code, values in by_code.items() if values}
        total.best_mean, total.best_step = float(np.mean(list(means.values()))), total.step
        figures = {**means, "mean": total.best_mean}
        Curves(self.folder, first_step=-1, active=True).validation(total.step, figures, None)
        return found

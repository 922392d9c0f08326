"""The run made of what was accepted, from which `publish` makes the model's next version."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from inference.server.networks.kept_outputs import joined_states
from training.cases import CaseSource
from training.checkpoints import read_checkpoint, write_checkpoint
from training.curves import Curves
from training.finetuning.acceptance import Acceptance
from training.finetuning.scored import NETWORK_FILE
from training.finetuning.start import ROLE, Start
from training.organ_task import OrganTask
from training.precision import Precision
from training.recipe import Recipe
from training.run_record import begin
from training.trained import trained_network


@dataclass(frozen=True, kw_only=True)
class AcceptedRun:
    """The folder of a run whose version is partly new, partly old."""

    start: Start
    source: CaseSource
    data: Path
    folder: Path

    def write(self, learned: Path, words: str, found: Sequence[Acceptance], precision: Precision) -> None:
        """Write the run with the weights in the way's folder ``learned``, and the old ones if a structure keeps them.

        Its figures are those of both together on the validation patients; ``words`` says how it learned.
        """
        accepted = {one.structure for one in found if one.accepted}
        labels = self.start.contract.labels
        recipe = self._recipe([place for place, code in enumerate(labels) if code not in accepted], words)
        adapted = read_checkpoint(learned / NETWORK_FILE, torch.device("cpu"))
        state = adapted["averaged"]
        if len(accepted) < len(labels):
            state = joined_states(state, self.start.network().state_dict())
        begin(self.folder, recipe, self.source, self.data, precision)
        write_checkpoint({"averaged": state, "state": adapted["state"]}, self.folder / "best.pt")
        network = trained_network(self.folder, recipe, ROLE).network
        with torch.inference_mode():
            figures = OrganTask(recipe, self.source).validate(network)
        step = int(adapted["state"]["step"])
        Curves(self.folder, first_step=step - 1, active=True).validation(step, figures, None)

    def _recipe(self, kept: list[int], words: str) -> Recipe:
        document = self.start.recipe.model_dump(mode="json")
        document["contract"]["runtime"]["networks"][ROLE]["kept"] = kept
        document["data"] = f"{self.start.recipe.data}: {words}"
        return Recipe.model_validate(document)

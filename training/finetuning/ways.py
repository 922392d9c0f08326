"""The ways of fine-tuning to other contours: the study's five folds, a budget, replay, from scratch."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.augment import Augmentation
from training.cases import CaseSource, Subset
from training.loop import Batch, Figures, Schedule, Task
from training.organ_task import OrganTask
from training.recipe import Recipe

Way = Literal["study", "budgeted", "replay", "scratch"]
WAYS: tuple[Way, ...] = get_args(Way)

RATE_SHARE = 0.3  # of the recipe's learning rate, when learning starts from trained weights
STUDY_RATE, STUDY_FACTOR, STUDY_BATCH = 1e-4, 0.9, 4
SAMPLES_A_CASE = 16  # of a held-out patient, for the study's loss
STILL = Augmentation(
    affine_share=0.0, mirror_share=0.0, hu_shift=0.0, hu_gain=0.0, noise_hu=0.0, couch_share=0.0
)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long each way learns: ``steps``, except the study's way, which has ``folds`` times ``epochs``."""

    steps: int = 300
    folds: int = 5
    epochs: int = 60
    epoch_steps: int | None = None  # None: every slice of the fold's training patients once
    replay_share: float = 0.3  # of samples, from old patients
    seed: int = 1


def schedule_of(way: Way, recipe: Recipe, budget: Budget, epoch_steps: int = 1) -> Schedule:
    """Return the schedule of a way.

    The study's is Adam at 1e-4, times 0.9 per epoch, batches of 4, no averaging; the others' rate falls to zero within
    the budget, from the recipe's rate (scratch) or from ``RATE_SHARE`` of it.
    """
    if way == "study":
        return Schedule(
            steps=budget.epochs * epoch_steps,
            batch=STUDY_BATCH,
            seed=budget.seed,
            optimiser="adam",
            learning_rate=STUDY_RATE,
            warmup_steps=0,
            decay_power=0.0,
            epoch_factor=STUDY_FACTOR,
            weight_decay=0.0,
            averaging=0.0,
            validate_every=epoch_steps,
            checkpoint_every=epoch_steps,
        )
    own, last = recipe.schedule, budget.steps
    rate = own.learning_rate * (1.0 if way == "scratch" else RATE_SHARE)
    changes = {
        "steps": last,
        "seed": budget.seed,
        "learning_rate": rate,
        "validate_every": last,
        "checkpoint_every": min(own.checkpoint_every, last),
    }
    return own.model_copy(update=changes)


def slices_an_epoch(source: CaseSource) -> int:
    """Return the steps of the study's epoch: each slice of the training patients once, in batches of 4."""
    slices = sum(len(source.case(name).hu_zyx) for name in source.names(Subset.TRAIN))
    return max(1, math.ceil(slices / STUDY_BATCH))


class ReplayTask:
    """A task that sometimes learns from old patients, so that earlier knowledge is not lost."""

    def __init__(self, new: OrganTask, old: OrganTask, share: float) -> None:
        """Draw a random ``share`` of samples from ``old``; everything else is ``new``'s."""
        self._new, self._old, self._share = new, old, share
        self.network, self.loss = new.network, new.loss
        self.validate, self.picture = new.validate, new.picture

    def sample(self, index: int) -> Batch:
        """Draw a patch of a new or an old training case."""
        rng = np.random.default_rng([self._new.recipe.schedule.seed, index, 7])
        task: Task = self._old if rng.random() < self._share else self._new
        return task.sample(index)


class FoldTask:
    """A task whose best network is the one with the lowest loss on the patients of its own held-out fold."""

    def __init__(self, learned: OrganTask, held_out: OrganTask) -> None:
        """Take ``held_out``, a task whose training patients are the fold's."""
        self._held_out = held_out
        self.network, self.sample, self.loss = learned.network, learned.sample, learned.loss

    def validate(self, network: nn.Module) -> Figures:
        """Return the mean loss of the fold's samples, and exp(-loss) as the mean to choose by."""
        count = SAMPLES_A_CASE * len(self._held_out.training)
        with torch.inference_mode():
            losses = [
                float(self._held_out.loss(network, self._held_out.sample(i), 1.0)) for i in range(count)
            ]
        loss = float(np.mean(losses))
        return {"loss": loss, "mean": math.exp(-loss)}

    def picture(self, network: nn.Module) -> NDArray[np.uint8] | None:
        """Return None: the fold's patients are not pictured."""

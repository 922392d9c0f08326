"""A trial run of minutes that finds the mistakes that would stop or spoil the long one."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from inference.contract import SliceStacks
from training.distributed import World
from training.loop import Batch, Figures, Schedule, Task, TrainingRun
from training.measured import population_grey_levels
from training.organ_task import OrganTask
from training.precision import Precision
from training.progress import Progress
from training.samples import expected_voxels

_SAMPLES = 24
_STEPS = 40
_FITTED = 0.7  # of the first loss: a loss above this share means that nothing is learned
_HU = (-1100, 4200)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The faults that must be fixed, and the cost of the long run."""

    faults: tuple[str, ...]
    warnings: tuple[str, ...]
    step_s: float
    validation_s: float
    schedule: Schedule

    @property
    def hours(self) -> float:
        """How many hours the whole run will take on this machine under its present load."""
        validations = self.schedule.steps / self.schedule.validate_every
        return (self.schedule.steps * self.step_s + validations * self.validation_s) / 3600


class _OneSample:
    """The task reduced to one repeated sample: a network that cannot fit it will fit nothing."""

    def __init__(self, task: Task, index: int) -> None:
        self._sample = task.sample(index)
        self.network, self.loss = task.network, task.loss

    def sample(self, _index: int) -> Batch:
        return self._sample

    def validate(self, _network: nn.Module) -> Figures:
        return {}

    def picture(self, _network: nn.Module) -> None:
        return None


def trial(task: OrganTask, world: World, precision: Precision, said: Callable[[str], None]) -> Trial:
    """Check data, samples, a step, one fitted sample, a checkpoint and a validation."""
    said("checking every case")
    faults, warnings = _cases(task)
    if isinstance(task.how, SliceStacks):
        said(_grey_levels(task, task.how))
    said(f"drawing {_SAMPLES} samples")
    faults += list(_samples(task))
    schedule = task.recipe.schedule
    said(f"fitting one sample for {_STEPS} steps")
    fault, step_s = _fits_one(task, world, precision)
    faults += [fault] if fault else []
    said("validating")
    began = time.monotonic()
    with torch.inference_mode():
        found = task.validate(task.network().eval())
    if "mean" not in found:
        warnings.append("no validation case has a contour: no best checkpoint can be chosen")
    return Trial(
        faults=tuple(faults),
        warnings=tuple(warnings),
        step_s=step_s * schedule.batch / world.size,
        validation_s=time.monotonic() - began,
        schedule=schedule,
    )


def _cases(task: OrganTask) -> tuple[list[str], list[str]]:
    """Return faults and warnings: structures in no training case, values unlike HU, voxels to be resampled."""
    labels = task.contract.labels
    drawn = dict.fromkeys(labels, 0)
    faults, warnings = [], []
    spacings = expected_voxels(task.how)
    for case in task.training_cases():
        for label, flag in zip(labels, case.drawn, strict=True):
            drawn[label] += int(flag)
        low, high = int(case.hu_zyx.min()), int(case.hu_zyx.max())
        if not _HU[0] <= low <= high <= _HU[1]:
            warnings.append(f"{case.name}: values from {low} to {high} are unlike HU")
        if spacings is None:
            continue
        z, y, x = case.spacing_zyx_mm
        inside = [
            spacings.accepted_slice_mm[0] <= z <= spacings.accepted_slice_mm[1],
            *(spacings.accepted_in_plane_mm[0] <= s <= spacings.accepted_in_plane_mm[1] for s in (y, x)),
        ]
        if not all(inside):
            warnings.append(
                f"{case.name}: voxels of {z:g} x {y:g} x {x:g} mm, which serving would resample: prepare it with --voxels-mm"
            )
    faults += [f"{label}: contoured in no training case" for label, count in drawn.items() if count == 0]
    warnings += [
        f"{label}: contoured in {count} training cases only"
        for label, count in drawn.items()
        if 0 < count < 10
    ]
    return faults, warnings


def _grey_levels(task: OrganTask, how: SliceStacks) -> str:
    """Describe the training CTs' grey levels (mean, sd), for recipes that normalise by a population's."""
    mean, sd = population_grey_levels(task.training_cases(), how)
    given = f"{', '.join(map(str, how.mean))} and {', '.join(map(str, how.sd))}"
    return (
        f"grey levels of the training CTs: mean {mean:.1f}, sd {sd:.1f}; the recipe's mean and sd are {given}"
    )


def _samples(task: OrganTask) -> Iterator[str]:
    seen = torch.zeros(len(task.contract.labels))
    for index in range(_SAMPLES):
        sample = task.sample(index)
        if not torch.isfinite(sample.inputs).all():
            yield f"sample {index} has input that is not a number"
        if sample.labels.min() < 0 or sample.labels.max() > 1:
            yield f"sample {index} has labels outside 0..1"
        seen += sample.labels.flatten(2).sum(-1)[0]
    if not seen.any():
        yield f"none of {_SAMPLES} samples holds a voxel of a structure: look at patches.size_zyx and the cases"


def _fits_one(task: OrganTask, world: World, precision: Precision) -> tuple[str | None, float]:
    index = next((i for i in range(200) if task.sample(i).labels.any()), 0)
    one = _OneSample(task, index)
    schedule = task.recipe.schedule.model_copy(
        update={
            "steps": _STEPS,
            "batch": 1,
            "warmup_steps": 5,
            "validate_every": _STEPS + 1,
            "checkpoint_every": _STEPS,
        }
    )
    with TemporaryDirectory() as folder:
        run = TrainingRun(one, schedule, Path(folder), World(device=world.device), precision)
        losses = _losses(run)
        again = TrainingRun(one, schedule, Path(folder), World(device=world.device), precision)
        if again.state.step != _STEPS:
            return "a checkpoint is not read back as it was written", run.state.spent_s / _STEPS
    first, last = losses[0], sum(losses[-5:]) / 5
    if not last < _FITTED * first:
        return (
            f"one sample is not learned in {_STEPS} steps: loss {first:.3f} to {last:.3f}; look at learning_rate",
            run.state.spent_s / _STEPS,
        )
    return None, run.state.spent_s / _STEPS


def _losses(run: TrainingRun) -> list[float]:
    """Train to the end; return each step's loss."""
    kept = _Losses()
    run.train(kept)
    return kept.values


class _Losses:
    """A progress display that only keeps the losses."""

    def __init__(self) -> None:
        self.values: list[float] = []

    @contextmanager
    def __call__(self, *, total: int, done: int) -> Iterator[Progress]:  # noqa: ARG002 # the loop's call
        yield self

    def advance(self, loss: float) -> None:
        self.values.append(loss)

    def said(self, figures: Mapping[str, float]) -> None:
        pass

"""The loop: steps whose samples depend only on seed and step, averaged weights, checkpoints that resume exactly."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from typing_extensions import override

from training.checkpoints import read_checkpoint, write_checkpoint
from training.curves import Curves
from training.distributed import World
from training.optimisers import OptimiserName, OptimiserWish, make_optimiser
from training.precision import Precision, keep_small_maps_in_float32
from training.progress import Progress, ShowProgress, silent

Figures = dict[str, float]
Output = torch.Tensor | tuple[torch.Tensor, ...]  # of a network with several scales, finest first


class Schedule(BaseModel):
    """How long and how fast to learn, and how often to validate. An epoch is ``validate_every`` steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(ge=1)
    batch: int = Field(default=1, ge=1)  # over all processes together
    seed: int = Field(default=20261121, ge=0)
    optimiser: OptimiserName = "adamw"
    learning_rate: float = Field(default=2e-3, gt=0.0)
    warmup_steps: int = Field(default=100, ge=0)
    momentum: float = Field(default=0.99, ge=0.0, lt=1.0)  # of sgd, Nesterov's by default
    nesterov: bool = True
    decay_power: float = Field(default=0.9, ge=0.0)  # rate x (1 - step / steps) ** power; 0 keeps it
    least_share: float = Field(default=0.003, ge=0.0, le=1.0)  # of the rate: the lowest that it falls to
    epoch_factor: float = Field(default=1.0, gt=0.0, le=1.0)  # rate x factor after each epoch
    falling_epochs: int | None = Field(
        default=None, ge=1
    )  # only for the first epochs, this many; None: for all
    weight_decay: float = Field(default=1e-4, ge=0.0)
    gradient_norm: float = Field(default=5.0, gt=0.0)
    averaging: float = Field(default=0.998, ge=0.0, lt=1.0)
    validate_every: int = Field(default=500, ge=1)
    checkpoint_every: int = Field(default=250, ge=1)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step (0, 1, ...)."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        left = float((1 - step / self.steps) ** self.decay_power)
        epochs = step // self.validate_every
        fallen = epochs if self.falling_epochs is None else min(epochs, self.falling_epochs)
        return self.learning_rate * warm * max(self.least_share, left) * self.epoch_factor**fallen


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Samples: network input (batch, channel, ...), labels 0..1 (batch, structure, ...), drawn (batch, structure)."""

    inputs: torch.Tensor
    labels: torch.Tensor
    drawn: torch.Tensor

    def on(self, device: torch.device) -> "Batch":
        """Return the same batch on a device."""
        return Batch(
            inputs=self.inputs.to(device), labels=self.labels.to(device), drawn=self.drawn.to(device)
        )


class Task(Protocol):
    """What is learned: a network, samples, a loss, and a measure of quality."""

    def network(self) -> nn.Module:
        """Build the network with its starting weights; the loop has seeded torch."""

    def sample(self, index: int) -> Batch:
        """Draw one sample (a batch of 1) that depends only on the index."""

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        """Run the network and return the mean loss over the batch; ``progress`` goes from 0 to 1 during the run.

        The loop may compute the network's convolutions in bfloat16: its answer must be converted to float32.
        """

    def validate(self, network: nn.Module) -> Figures:
        """Score a network; 'mean' is the figure by which the best checkpoint is chosen."""

    def picture(self, network: nn.Module) -> NDArray | None:  # type: ignore[type-arg] # an RGB image
        """Draw a prediction (height, width, 3), uint8; None where there is nothing to show."""


class _Learning(nn.Module):
    """Network and loss as one module, because processes share the gradients of a module's own forward pass."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network, self._loss = network, task.loss

    @override
    def forward(self, batch: Batch, progress: float) -> torch.Tensor:
        return self._loss(self.network, batch, progress)


class TrainingStopped(Exception):
    """A run that cannot go on: the loss is not a number, or the folder belongs to another run."""


@dataclass(kw_only=True)
class State:
    """Where a run stands: enough, with the weights, to go on after an interruption."""

    step: int = 0
    spent_s: float = 0.0
    best_mean: float = -1.0
    best_step: int = 0


class TrainingRun:
    """One training run in a folder: ``checkpoint.pt`` to resume from, ``best.pt``, ``curves.csv`` and pictures."""

    def __init__(
        self,
        task: Task,
        schedule: Schedule,
        folder: Path,
        world: World | None = None,
        precision: Precision | None = None,
    ) -> None:
        """Build the network, or resume from the folder's checkpoint if there is one.

        Raises CheckpointRefused, and TrainingStopped where the checkpoint does not fit the network, or the batch size
        is not a multiple of the number of processes.
        """
        self.task, self.schedule, self.folder = task, schedule, folder
        self.world = world or World()
        self.precision = precision or Precision()
        if schedule.batch % self.world.size:
            raise TrainingStopped(
                f"a batch of {schedule.batch} does not divide by {self.world.size} processes: change one of them"
            )
        torch.manual_seed(schedule.seed)
        self.network = task.network().to(self.world.device)
        keep_small_maps_in_float32(self.network)
        self.averaged = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimiser = make_optimiser(
            OptimiserWish(
                name=schedule.optimiser,
                learning_rate=schedule.learning_rate,
                weight_decay=schedule.weight_decay,
                momentum=schedule.momentum,
                nesterov=schedule.nesterov,
            ),
            self.network,
        )
        self.state = State()
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.exists():
            self._resume()
        self._learning = self.world.wrapped(_Learning(self.network, task))

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def train(self, progress: ShowProgress = silent) -> State:
        """Train to the last step; return where the run ended."""
        curves = Curves(self.folder, first_step=self.state.step, active=self.world.leads)
        with progress(total=self.schedule.steps, done=self.state.step) as bar:
            losses: list[float] = []
            while self.state.step < self.schedule.steps:
                losses.append(self._timed_step())
                bar.advance(losses[-1])
                curves.loss(self.state.step, losses[-1], self.schedule.rate(self.state.step - 1))
                self._at_intervals(curves, bar)
        return self.state

    def _at_intervals(self, curves: Curves, bar: Progress) -> None:
        """Validate at the end of an epoch, save at its interval and at the end."""
        last = self.state.step == self.schedule.steps
        if self.state.step % self.schedule.validate_every == 0 or last:
            self.world.alone(lambda: self._validate(curves, bar))
        if self.state.step % self.schedule.checkpoint_every == 0 or last:
            self.world.alone(self._save)

    def _timed_step(self) -> float:
        started = time.monotonic()
        loss = self._step()
        if not loss == loss or loss in (float("inf"), float("-inf")):
            raise TrainingStopped(
                f"the loss is {loss} at step {self.state.step + 1}: lower learning_rate, or check the data of "
                f"sample {self._indices()[0]}. The last checkpoint in {self.folder} is intact."
            )
        self.state.step += 1
        self.state.spent_s += time.monotonic() - started
        return loss

    def _indices(self) -> range:
        """Return the samples of this step that fall to this process."""
        share = self.schedule.batch // self.world.size
        first = self.state.step * self.schedule.batch + self.world.rank * share
        return range(first, first + share)

    def _step(self) -> float:
        torch.manual_seed(self.schedule.seed + self.state.step)  # so that dropout is the same after resuming
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(self.state.step)
        batch = _joined([self.task.sample(index) for index in self._indices()]).on(self.world.device)
        self._learning.train()
        with self.precision.autocast(self.world.device):
            loss = self._learning(batch, self.state.step / self.schedule.steps)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.gradient_norm)
        self.optimiser.step()
        self._average()
        return self.world.mean(float(loss.detach()))

    @torch.no_grad()
    def _average(self) -> None:
        step = self.state.step + 1
        keep = min(self.schedule.averaging, (1 + step) / (10 + step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.averaged[name].lerp_(value, 1 - keep)
            else:
                self.averaged[name].copy_(value)

    def _validate(self, curves: Curves, bar: Progress) -> None:
        live = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged)
        self.network.eval()
        with torch.inference_mode():
            figures = self.task.validate(self.network)
            shown = self.task.picture(self.network)
        self.network.load_state_dict(live)
        curves.validation(self.state.step, figures, shown)
        bar.said(figures)
        if figures.get("mean", -1.0) > self.state.best_mean:
            self.state.best_mean, self.state.best_step = figures["mean"], self.state.step
            write_checkpoint({"averaged": self.averaged, "state": vars(self.state)}, self.folder / "best.pt")

    def _save(self) -> None:
        content = {
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "optimiser": self.optimiser.state_dict(),
            "state": vars(self.state),
        }
        write_checkpoint(content, self._checkpoint)

    def _resume(self) -> None:
        found = read_checkpoint(self._checkpoint, self.world.device)
        try:
            self.network.load_state_dict(found["network"])
        except RuntimeError as error:
            raise TrainingStopped(
                f"{self._checkpoint} does not fit the network of the recipe: {error}. Choose another run folder."
            ) from error
        self.averaged = found["averaged"]
        self.optimiser.load_state_dict(found["optimiser"])
        self.state = State(**found["state"])


def in_float32(output: Output) -> Output:
    """Return a network's answer in float32, as losses need it."""
    if isinstance(output, tuple):
        return tuple(scale.to(torch.float32) for scale in output)
    return output.to(torch.float32)


def _joined(samples: list[Batch]) -> Batch:
    return Batch(
        inputs=torch.cat([s.inputs for s in samples]),
        labels=torch.cat([s.labels for s in samples]),
        drawn=torch.cat([s.drawn for s in samples]),
    )

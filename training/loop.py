"""The loop: a learning rate that ends with the time budget, averaged weights, checkpoints that resume."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from training.augment import Patch
from training.loss import masked_bce_dice


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When to stop, how fast to learn, how often to look."""

    budget_s: float
    positive_weights: tuple[float, ...]
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-4
    averaging: float = 0.998
    checkpoint_every_s: float = 120.0
    validate_every_s: float = 900.0


@dataclass(kw_only=True)
class Progress:
    """Where a run stands: enough, with the weights, to go on after an interruption."""

    step: int = 0
    spent_s: float = 0.0
    validated_s: float = 0.0


Validate = Callable[[nn.Module], dict[str, float]]


class TrainingRun:
    """One training run in a folder: ``checkpoint.pt`` to resume from and ``log.jsonl`` to read."""

    def __init__(self, network: nn.Module, schedule: Schedule, folder: Path) -> None:
        """Resume from the folder's checkpoint if there is one."""
        self.network = network.to(memory_format=torch.channels_last_3d)
        self.averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.schedule = schedule
        self.folder = folder
        self.progress = Progress()
        self.positive_weights = torch.tensor(schedule.positive_weights)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        folder.mkdir(parents=True, exist_ok=True)
        if self._checkpoint.exists():
            self._resume()

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def train(self, next_input: Callable[[], tuple[torch.Tensor, Patch]], validate: Validate) -> None:
        """Step until the budget is spent."""
        losses: list[float] = []
        saved = time.monotonic()
        while self.progress.spent_s < self.schedule.budget_s:
            started = time.monotonic()
            losses.append(self._step(*next_input()))
            self.progress.spent_s += time.monotonic() - started
            if time.monotonic() - saved > self.schedule.checkpoint_every_s:
                self._log({"loss": sum(losses) / len(losses)})
                losses, saved = [], time.monotonic()
                self._save()
            if self.progress.spent_s - self.progress.validated_s > self.schedule.validate_every_s:
                self._validate(validate)
        self._validate(validate)
        self._save()

    def _step(self, channels: torch.Tensor, patch: Patch) -> float:
        rate = self._rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        logits = self.network(channels[None].contiguous(memory_format=torch.channels_last_3d))
        loss = masked_bce_dice(logits, patch.labels[None], patch.drawn[None], self.positive_weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.progress.step += 1
        self._average()
        return float(loss.detach())

    def _rate(self) -> float:
        warm = min(1.0, (self.progress.step + 1) / self.schedule.warmup_steps)
        left = max(0.0, 1.0 - self.progress.spent_s / self.schedule.budget_s)
        return self.schedule.learning_rate * warm * max(0.003, left**0.9)

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.schedule.averaging, (1 + self.progress.step) / (10 + self.progress.step))
        for name, value in self.network.state_dict().items():
            self.averaged[name].lerp_(value, 1 - keep)

    def _validate(self, validate: Validate) -> None:
        live = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.averaged)
        self._log(validate(self.network.eval()))
        self.network.load_state_dict(live)
        self.progress.validated_s = self.progress.spent_s

    def _log(self, figures: dict[str, float]) -> None:
        row = {"step": self.progress.step, "spent_s": round(self.progress.spent_s), **figures}
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps({k: round(v, 4) for k, v in row.items()}) + "\n")

    def _save(self) -> None:
        part = self._checkpoint.with_suffix(".part")
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "optimiser": self.optimiser.state_dict(),
            "progress": vars(self.progress),
        }
        torch.save(state, part)
        part.replace(self._checkpoint)

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged = state["averaged"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**state["progress"])

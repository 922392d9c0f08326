"""The search: equal weights first, then alternating steps of network and alphas, each on its own data."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from inference.server.networks.soars_unet import SoarsUnetConfig
from training.loop import Batch, TrainingStopped
from training.search.supernet import Supernet

Sample = Callable[[int], Batch]
LossOf = Callable[[nn.Module, Batch, float], torch.Tensor]
BETAS = (0.9, 0.999)  # "a momentum of 0.9"


class SearchSchedule(BaseModel):
    """As published: 200 epochs of equal weights, 300 of alternation, RAdam, batch 2. A step is a batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    equal_epochs: int = Field(default=200, ge=0)
    alternating_epochs: int = Field(default=300, ge=1)
    steps_an_epoch: int = Field(default=250, ge=1)
    batch: int = Field(default=2, ge=1)
    learning_rate: float = Field(default=0.005, gt=0.0)  # 0.001 for the small and hard organs
    weight_decay: float = Field(default=0.005, ge=0.0)
    seed: int = Field(default=20261121, ge=0)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Samples by number: those that the weights learn from, those that the alphas learn from; and the loss of both."""

    for_weights: Sample
    for_alphas: Sample
    loss: LossOf


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The end of an epoch: mean loss of the weights' steps, whether alphas moved, and the gammas (block, operation)."""

    number: int
    loss: float
    alternating: bool
    gammas: list[list[float]]


def search(
    config: SoarsUnetConfig,
    data: Data,
    schedule: SearchSchedule,
    ended: Callable[[Epoch], None] = lambda _: None,
) -> Supernet:
    """Search the operations of a network; return the final supernet, which says what was found.

    While the weights are equal, alphas are not changed: each gamma is exactly a sixth. Then every batch of the weights
    is followed by one of the alphas, on other patients. Raises TrainingStopped where a loss is not a number.
    """
    torch.manual_seed(schedule.seed)
    network = Supernet(config).train()
    of_weights = _optimiser(network.weights(), schedule)
    of_alphas = _optimiser(list(network.alphas), schedule)
    epochs = schedule.equal_epochs + schedule.alternating_epochs
    for number in range(epochs):
        alternating = number >= schedule.equal_epochs
        total = 0.0
        for step in range(number * schedule.steps_an_epoch, (number + 1) * schedule.steps_an_epoch):
            progress = number / epochs
            total += _step(network, data, data.for_weights, of_weights, (step, schedule.batch, progress))
            if alternating:
                _step(network, data, data.for_alphas, of_alphas, (step, schedule.batch, progress))
        mean = total / schedule.steps_an_epoch
        ended(Epoch(number=number + 1, loss=mean, alternating=alternating, gammas=network.gammas()))
    return network


def _optimiser(parameters: list[nn.Parameter], schedule: SearchSchedule) -> torch.optim.Optimizer:
    return torch.optim.RAdam(
        parameters, lr=schedule.learning_rate, betas=BETAS, weight_decay=schedule.weight_decay
    )


def _step(
    network: Supernet,
    data: Data,
    sample: Sample,
    optimiser: torch.optim.Optimizer,
    at: tuple[int, int, float],
) -> float:
    """Do a step of one optimiser on one batch; discard the other parameters' gradients; return the loss."""
    step, batch, progress = at
    total = 0.0
    network.zero_grad(set_to_none=True)
    for index in range(step * batch, (step + 1) * batch):
        one = sample(index)
        loss = data.loss(network, one, progress) / batch
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it without types
        total += float(loss.detach())
    if not total == total or abs(total) == float("inf"):
        raise TrainingStopped(f"the loss of step {step + 1} is {total}: lower learning_rate")
    optimiser.step()
    return total

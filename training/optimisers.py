"""The optimisers that a recipe may name."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

OptimiserName = Literal["adamw", "adam", "radam", "sgd"]


@dataclass(frozen=True, kw_only=True)
class OptimiserWish:
    """An optimiser by name, and its parameters; momentum is SGD's."""

    name: OptimiserName
    learning_rate: float
    weight_decay: float
    momentum: float = 0.99
    nesterov: bool = True


def make_optimiser(how: OptimiserWish, network: nn.Module) -> torch.optim.Optimizer:
    """Build the optimiser for a network's parameters; Adam's decay rates are 0.9 and 0.999."""
    parameters = network.parameters()
    match how.name:
        case "adamw":
            return torch.optim.AdamW(parameters, lr=how.learning_rate, weight_decay=how.weight_decay)
        case "adam":
            return torch.optim.Adam(parameters, lr=how.learning_rate, weight_decay=how.weight_decay)
        case "radam":
            return torch.optim.RAdam(parameters, lr=how.learning_rate, weight_decay=how.weight_decay)
        case "sgd":
            return torch.optim.SGD(
                parameters,
                lr=how.learning_rate,
                weight_decay=how.weight_decay,
                momentum=how.momentum,
                nesterov=how.nesterov,
            )

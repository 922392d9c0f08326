"""The optimisers that a recipe may name."""

from typing import Literal

import torch
from torch import nn

OptimiserName = Literal["adamw", "adam", "radam", "sgd"]


def make_optimiser(
    name: OptimiserName, network: nn.Module, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Build the optimiser; SGD takes Nesterov's momentum 0.99, as nnU-Net does."""
    parameters = network.parameters()
    match name:
        case "adamw":
            return torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
        case "adam":
            return torch.optim.Adam(parameters, lr=learning_rate, weight_decay=weight_decay)
        case "radam":
            return torch.optim.RAdam(parameters, lr=learning_rate, weight_decay=weight_decay)
        case "sgd":
            return torch.optim.SGD(
                parameters, lr=learning_rate, weight_decay=weight_decay, momentum=0.99, nesterov=True
            )

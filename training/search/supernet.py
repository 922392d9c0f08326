"""The backbone of SOARS with all six operations at every position, mixed by learnable weights.

gamma = softmax(alpha) in each block; the two positions of a block share it, since "the auto-searched two convolution
operations within each block are of the same type". The output of a position is the sum of gamma_k phi_k.
"""

import torch
from torch import nn
from typing_extensions import override

from inference.server.networks.soars_unet import OPERATIONS, SoarsUnet, SoarsUnetConfig, operation


class MixedOperation(nn.Module):
    """Every operation of the search space on the same input, weighted by softmax(alpha)."""

    def __init__(self, config: SoarsUnetConfig, inputs: int, outputs: int, alpha: nn.Parameter) -> None:
        """Build the operations; ``alpha`` (operation,) is the block's."""
        super().__init__()
        self.alpha = alpha
        self.choices = nn.ModuleList(
            operation(name, inputs, outputs, norm=config.norm, preactivation=config.preactivation)
            for name in OPERATIONS
        )

    @override
    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (batch, inputs, z, y, x) to (batch, outputs, z, y, x)."""
        gamma = torch.softmax(self.alpha, dim=0)
        mixed: torch.Tensor = sum(
            weight * choice(features) for weight, choice in zip(gamma, self.choices, strict=True)
        )
        return mixed


class Supernet(nn.Module):
    """The network that is searched: nine blocks with an alpha each, equal at the start."""

    def __init__(self, config: SoarsUnetConfig) -> None:
        """Take the parameters of the network that will be trained; its operations are ignored."""
        super().__init__()
        self.alphas = nn.ParameterList(torch.zeros(len(OPERATIONS)) for _ in range(config.blocks))
        alphas = list(self.alphas)
        self.network = SoarsUnet(config, lambda block, a, b: MixedOperation(config, a, b, alphas[block]))

    @override
    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        """Map (batch, in_channels, z, y, x) to logits (batch, out_channels, z, y, x)."""
        logits: torch.Tensor = self.network(channels)
        return logits

    def weights(self) -> list[nn.Parameter]:
        """Return all parameters except the alphas."""
        return [p for name, p in self.named_parameters() if "alpha" not in name]

    def gammas(self) -> list[list[float]]:
        """Return the weight of each operation (block, operation)."""
        return [torch.softmax(alpha.detach(), dim=0).tolist() for alpha in self.alphas]

    def found(self) -> tuple[str, ...]:
        """Return the operation with the highest weight in each block."""
        names = list(OPERATIONS)
        return tuple(names[int(torch.argmax(alpha))] for alpha in self.alphas)

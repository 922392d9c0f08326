"""An adapted network with some outputs of the network before: a structure that got worse keeps its old weights.

Fine-tuning to a clinic's contours improves some structures and worsens others (in the rectal study, bladder and femoral
heads got worse). Outputs share all layers but the last, so a structure keeps its old answer only with the whole old
network: a version with kept outputs costs twice the time.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from typing_extensions import override


class KeptOutputs(nn.Module):
    """Two networks of one architecture side by side; both see the whole input, each answers its own outputs."""

    kept: torch.Tensor

    def __init__(self, adapted: nn.Module, before: nn.Module, kept: Iterable[int]) -> None:
        """Join both; ``kept`` are the outputs that ``before`` answers. Raises ValueError for any other."""
        super().__init__()
        self.adapted, self.before, self.config = adapted, before, adapted.config
        outputs: Any = self.config
        places = torch.zeros(int(outputs.out_channels), dtype=torch.bool)
        for place in kept:
            if not 0 <= place < len(places):
                raise ValueError(f"kept: there is no output {place} of {len(places)}")
            places[place] = True
        self.register_buffer("kept", places, persistent=False)

    @override
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map inputs, as of either network, to logits (batch, out_channels, ...)."""
        adapted, before = self.adapted(inputs), self.before(inputs)
        return torch.where(self.kept.reshape(1, -1, *(1 for _ in adapted.shape[2:])), before, adapted)


def joined_states(
    adapted: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the state of a `KeptOutputs` of two networks."""
    return {
        **{f"adapted.{name}": value for name, value in adapted.items()},
        **{f"before.{name}": value for name, value in before.items()},
    }

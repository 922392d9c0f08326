"""Networks built without memory, for the numbers and shapes that their papers state."""

from collections.abc import Callable

import torch
from torch import nn


def parameters(build: Callable[[], nn.Module]) -> int:
    """How many trainable numbers a network holds; it is laid out on the meta device."""
    with torch.device("meta"):
        return sum(p.numel() for p in build().parameters())


def weights_of_size(network: nn.Module, *kernel: int) -> int:
    """How many convolutions of a network have this kernel."""
    found = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
    return sum(tuple(m.kernel_size) == kernel for m in found)


def meta_shapes(
    build: Callable[[], nn.Module], shape: tuple[int, ...], *, training: bool = False
) -> list[tuple[int, ...]]:
    """The shapes of what a network answers for an input of ``shape``, worked out without memory."""
    with torch.device("meta"):
        answer = build().train(training)(torch.zeros(shape))
    return [tuple(a.shape) for a in (answer if isinstance(answer, tuple | list) else (answer,))]

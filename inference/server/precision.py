"""bfloat16 where a contract allows it and the processor is measured to be faster with it, else float32.

Autocast computes convolutions in bfloat16 and keeps weights and answers in float32. A processor may claim bfloat16 and
emulate it more slowly, so the claim is checked by a measurement. What bfloat16 changes in an answer does not depend on
the processor: `rounded_to_bfloat16` shows it anywhere, at the cost of float32.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from typing_extensions import override

_ROUNDS = 2
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_GAIN = 0.8  # bfloat16 must cost at most this share: beyond any noise where it is native


class MeasuredType:
    """The type in which a model's networks compute: measured once, on the first input of any of them."""

    def __init__(self, least: tuple[int, ...] | None = None) -> None:
        """Measure on the corner of the input with ``least`` voxels per axis; None: on the whole input."""
        self._corner = (..., *(slice(0, size) for size in least or ()))
        self.dtype: torch.dtype | None = None

    def of(self, answer: Callable[[torch.Tensor, torch.dtype], object], image: torch.Tensor) -> torch.dtype:
        """Return the type, measured with ``answer``, which runs a network on an image in a given type."""
        if self.dtype is None:
            corner = image[self._corner].contiguous()  # type: ignore[index]  # slices
            self.dtype = faster_dtype(partial(answer, corner), image.device)
        return self.dtype


class AutocastNetwork(nn.Module):
    """A network that returns float32 and computes in bfloat16 where that is faster."""

    def __init__(self, network: nn.Module, measured: MeasuredType | None = None) -> None:
        """Wrap a network that is in evaluation mode on its device; networks of a model may share a measurement."""
        super().__init__()
        self.network = network
        self.measured = measured or MeasuredType()

    @override
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the network's answer to (batch, channel, ...), float32."""
        return self._answer(image, self.measured.of(self._answer, image))

    def _answer(self, image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        reduced = dtype is not torch.float32
        with torch.autocast(image.device.type, torch.bfloat16, enabled=reduced):
            answer: torch.Tensor = self.network(image)
        return answer.to(torch.float32)


def faster_dtype(answer: Callable[[torch.dtype], object], device: torch.device) -> torch.dtype:
    """Measure one answer in each type on a processor, or ask a GPU whether it supports bfloat16."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return torch.float32
    seconds = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    for _ in range(_ROUNDS):
        for dtype in seconds:
            started = time.process_time()
            answer(dtype)
            seconds[dtype] = min(seconds[dtype], time.process_time() - started)
    faster = seconds[torch.bfloat16] <= _GAIN * seconds[torch.float32]
    return torch.bfloat16 if faster else torch.float32


def rounded_to_bfloat16(network: nn.Module) -> nn.Module:
    """Make a network in evaluation mode answer as under autocast to bfloat16, on a processor without it.

    Weights of convolutions, and inputs and outputs of every layer, are rounded; sums stay float32, as
    on processors with bfloat16. The network itself is changed.
    """
    for layer in network.modules():
        if any(layer.children()):
            continue
        layer.register_forward_pre_hook(lambda _, given: tuple(_rounded(one) for one in given))
        layer.register_forward_hook(lambda _, __, answer: _rounded(answer))
        if isinstance(layer, _CONVOLUTIONS):
            for tensor in layer.parameters():
                tensor.data = _rounded(tensor.data)
    return network


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.bfloat16).to(torch.float32)

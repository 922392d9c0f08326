"""bfloat16 where a contract allows it and the processor is measured to be faster with it, else float32.

Autocast computes convolutions in bfloat16 and keeps weights and answers in float32. A processor can claim bfloat16 and
emulate it more slowly, so the claim is checked by a measurement.
"""

import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from typing_extensions import override

_ROUNDS = 2
_GAIN = 0.8  # bfloat16 must cost at most this share: far from what noise can do where it is native


class AutocastNetwork(nn.Module):
    """A network that answers in float32 and computes in bfloat16 where that is faster; decided at its first input."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network that is in evaluation mode on its device."""
        super().__init__()
        self.network = network
        self.dtype: torch.dtype | None = None

    @override
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(batch, channel, ...) -> the network's answer for it, float32."""
        if self.dtype is None:
            self.dtype = faster_dtype(partial(self._answer, image), image.device)
        return self._answer(image, self.dtype)

    def _answer(self, image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        reduced = dtype is not torch.float32
        with torch.autocast(image.device.type, torch.bfloat16, enabled=reduced):
            answer: torch.Tensor = self.network(image)
        return answer.to(torch.float32)


def faster_dtype(answer: Callable[[torch.dtype], object], device: torch.device) -> torch.dtype:
    """Measure one answer in each type on a processor; a GPU is asked whether it computes in bfloat16."""
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

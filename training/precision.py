"""Whether the network runs in bfloat16: by default, only where the processor computes in it."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

PrecisionWish = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The precision of a run's forward pass; weights, loss and optimiser stay in float32."""

    bf16: bool = False
    reason: str = "float32 was asked for"

    @property
    def name(self) -> str:
        """The precision's name in logs and cards."""
        return "bf16" if self.bf16 else "fp32"

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Return the context in which the network is called."""
        return torch.autocast(device.type, torch.bfloat16) if self.bf16 else nullcontext()


def chosen_precision(wish: PrecisionWish, device: torch.device) -> Precision:
    """Choose bf16 where it is asked for or, on 'auto', where the device computes in it; keep the reason for the record.

    A processor without such instructions emulates bf16, many times slower than float32.
    """
    if wish == "fp32":
        return Precision()
    if device.type == "cuda":
        able, what = torch.cuda.is_bf16_supported(), torch.cuda.get_device_name(device)
    else:
        able, what = (
            bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()),
            torch.backends.cpu.get_cpu_capability(),
        )
    if wish == "bf16":
        return Precision(
            bf16=True, reason=f"bf16 was asked for; {what} {'computes in' if able else 'emulates'} it"
        )
    return Precision(bf16=able, reason=f"{what} {'computes in' if able else 'lacks'} bf16")


def keep_small_maps_in_float32(network: nn.Module) -> None:
    """Let a network's 3-D convolutions use float32 for maps with a side shorter than the kernel.

    There, torch 2.13 (oneDNN on a processor) gives a wrong gradient of the weights, often uninitialised memory:
    decision 0048 lists the shapes. With sides as long as the kernel, the error is below 0.3 %.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and max(module.kernel_size) > 1:
            module.forward = partial(_convolved, module)  # type: ignore[method-assign]


def _convolved(convolution: nn.Conv3d, features: torch.Tensor) -> torch.Tensor:
    sides = zip(features.shape[2:], convolution.kernel_size, strict=True)
    if all(side >= kernel for side, kernel in sides):
        return nn.Conv3d.forward(convolution, features)
    with torch.autocast(features.device.type, enabled=False):
        return nn.Conv3d.forward(convolution, features.to(torch.float32))

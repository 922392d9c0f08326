"""Whether the network runs in bfloat16: only where the processor computes in it."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

PrecisionWish = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The precision of a run's forward pass; weights, loss and optimiser stay in float32."""

    bf16: bool = False
    reason: str = "float32 was asked for"

    @property
    def name(self) -> str:
        """How logs and cards call it."""
        return "bf16" if self.bf16 else "fp32"

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """The context in which the network is called."""
        return torch.autocast(device.type, torch.bfloat16) if self.bf16 else nullcontext()


def chosen_precision(wish: PrecisionWish, device: torch.device) -> Precision:
    """bf16 where it is asked for, or on 'auto' where the device computes in it; the reason is kept for the run's record.

    Without such instructions a processor emulates bf16, many times slower than float32.
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

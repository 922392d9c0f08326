"""Training in one process or several.

`torchrun --nproc-per-node 2 -m training run ...` spreads a run's batch over two processes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

_LONGEST_VALIDATION = timedelta(hours=12)  # the others wait while the first process validates


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes of a run: this process's rank, their number, and its device."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this process is the one that validates, writes and shows progress."""
        return self.rank == 0

    def wrapped(self, network: nn.Module) -> nn.Module:
        """Return the network whose gradients are means over the processes; its weights are the first process's."""
        if self.size == 1:
            return network
        devices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices)

    def mean(self, value: float) -> float:
        """Return the mean of a number over the processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return float(total) / self.size

    def alone(self, act: Callable[[], None]) -> None:
        """Let the first process act while the others wait."""
        if self.leads:
            act()
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined_world() -> Iterator[World]:
    """Yield the processes that torchrun started, and leave their group in the end; one process without torchrun."""
    cuda = torch.cuda.is_available()
    if not dist.is_torchelastic_launched():
        yield World(device=torch.device("cuda", 0) if cuda else torch.device("cpu"))
        return
    dist.init_process_group("nccl" if cuda else "gloo", timeout=_LONGEST_VALIDATION)
    try:
        local = dist.get_node_local_rank()
        device = torch.device("cuda", local) if cuda else torch.device("cpu")
        yield World(rank=dist.get_rank(), size=dist.get_world_size(), device=device)
    finally:
        dist.destroy_process_group()

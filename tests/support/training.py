"""Small tasks and datasets for tests of training."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.cases import Case, Subset, bit_planes, places_of
from training.loop import Batch, Figures
from training.loss import masked_bce_dice


class BallTask:
    """Learn to copy a noisy ball: one convolution with dropout, a new ball each sample."""

    def __init__(self, dropout: float = 0.2) -> None:
        self.validated: list[float] = []
        self._dropout = dropout

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Dropout3d(self._dropout), nn.Conv3d(4, 1, 1))

    def sample(self, index: int) -> Batch:
        rng = np.random.default_rng([5, index])
        axis = np.arange(8.0) - 3.5 + rng.uniform(-1, 1)
        ball = (axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2) < 9
        labels = torch.from_numpy(ball[None, None].astype(np.float32))
        noise = torch.from_numpy(rng.standard_normal(labels.shape, dtype=np.float32))
        return Batch(inputs=labels * 2 - 1 + 0.1 * noise, labels=labels, drawn=torch.tensor([[True]]))

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        assert 0 <= progress < 1
        output = network(batch.inputs).to(torch.float32)
        return masked_bce_dice(output, batch.labels, batch.drawn, torch.ones(1))

    def validate(self, network: nn.Module) -> Figures:
        batch = self.sample(10_000)
        agreement = ((network(batch.inputs) > 0) == (batch.labels > 0.5)).to(torch.float32).mean()
        self.validated.append(float(agreement))
        return {"ball": float(agreement), "mean": float(agreement)}

    def picture(self, network: nn.Module) -> NDArray[np.uint8] | None:
        assert not network.training
        return np.zeros((4, 6, 3), np.uint8)


def two_sided_case(
    name: str = "a", subset: Subset = Subset.TRAIN, structures: int = 3, seed: int = 0
) -> Case:
    """A body with structure 0 in its left half (large x), 1 in its right, others anywhere, the last not drawn."""
    rng = np.random.default_rng(seed)
    hu = np.full((20, 24, 32), -1000, np.int16)
    hu[2:-2, 4:-4, 4:-4] = 40
    masks = [np.zeros(hu.shape, bool) for _ in range(structures)]
    masks[0][6:14, 8:16, 20:26] = True
    masks[1][6:14, 8:16, 6:12] = True
    for mask in masks[2:-1]:
        z, y, x = rng.integers(3, 12, 3)
        mask[z : z + 4, y : y + 5, x : x + 6] = True
    hu[masks[0]], hu[masks[1]] = 300, -120
    return Case(
        name=name,
        subset=subset,
        hu_zyx=hu,
        planes=bit_planes(masks),
        drawn=np.array([mask.any() for mask in masks]),
        places=tuple(places_of(mask, rng) for mask in masks),
        spacing_zyx_mm=(2.5, 4.0, 4.0),
    )


class MemorySource:
    """A CaseSource over cases in memory."""

    def __init__(self, cases: list[Case], structures: tuple[str, ...]) -> None:
        self.structures = structures
        self._cases = {case.name: case for case in cases}

    def names(self, subset: Subset) -> tuple[str, ...]:
        return tuple(name for name, case in self._cases.items() if case.subset is subset)

    def case(self, name: str) -> Case:
        return self._cases[name]

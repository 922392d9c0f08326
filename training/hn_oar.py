"""The recipe of model_repository/hn_oar: seven head-and-neck organs from OpenKBP and phantoms."""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evaluation.overlap import dice
from inference.contract import load_contract
from inference.server.intensity import SOFT_TISSUE_AND_WIDE, window_channels
from inference.server.networks.compact_unet3d import CompactUnet3d, CompactUnet3dConfig
from inference.server.pipelines.catalogue import build_pipeline
from training.augment import Augmentation, Patch, draw_patch
from training.cases import HN_STRUCTURES, Case, openkbp_cases
from training.loop import Schedule, TrainingRun

CONTRACT = load_contract(Path(__file__).parents[1] / "model_repository" / "hn_oar" / "1")
CONFIG = CompactUnet3dConfig()
AUGMENTATION = Augmentation(
    patch_zyx=(48, 48, 80),
    mirrored_pairs=((2, 3),),
    structure_weights=(1.0, 1.0, 1.0, 1.0, 1.5, 1.0, 2.5),
)
POSITIVE_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.5, 1.0, 4.0)
PHANTOM_SHARE = 0.08
ESOPHAGUS = HN_STRUCTURES.index("Esophagus")


class Sampler:
    """Chooses cases: those where the rare structures were drawn come up more often, phantoms at their share."""

    def __init__(self, real: list[Case], phantoms: Path | None, seed: int) -> None:
        """``phantoms`` is a folder of .npz cases; those that appear there during a run are taken up."""
        self._rng = np.random.default_rng(seed)
        self._real = real
        weights = np.array([2.0 if case.drawn[ESOPHAGUS] else 1.0 for case in real])
        self._chance = weights / weights.sum()
        self._folder = phantoms
        self._phantoms: list[Case] = []

    def __call__(self) -> tuple[torch.Tensor, Patch]:
        """One network input (c, z, y, x) and its patch."""
        patch = draw_patch(self._case(), AUGMENTATION, self._rng)
        return window_channels(patch.hu, SOFT_TISSUE_AND_WIDE), patch

    def _case(self) -> Case:
        if self._folder is not None and self._rng.random() < PHANTOM_SHARE:
            if self._rng.random() < 0.1 or not self._phantoms:
                self._phantoms = _phantom_cases(self._folder, self._phantoms)
            if self._phantoms:
                return self._phantoms[self._rng.integers(len(self._phantoms))]
        return self._real[self._rng.choice(len(self._real), p=self._chance)]


def _phantom_cases(folder: Path, known: list[Case]) -> list[Case]:
    files = sorted(folder.glob("*.npz"))
    if len(files) == len(known):
        return known
    cases = []
    for file in files:
        with np.load(file) as stored:
            cases.append(
                Case(
                    name=file.stem,
                    hu_zyx=stored["hu"],
                    bits_zyx=stored["bits"],
                    drawn=stored["drawn"],
                    spacing_zyx_mm=tuple(stored["spacing_zyx_mm"].tolist()),
                    synthetic=True,
                )
            )
    return cases


def validator(cases: list[Case]):
    """A function that scores a network as it is served: Dice a structure over the cases where it was drawn."""

    def validate(network: nn.Module) -> dict[str, float]:
        served = build_pipeline(CONTRACT, {"network": network}, torch.device("cpu"))
        scores: dict[str, list[float]] = {name: [] for name in HN_STRUCTURES}
        for case in cases:
            planes = served.predict(case.hu_zyx, case.spacing_zyx_mm).planes
            for i, name in enumerate(CONTRACT.labels):
                truth = case.mask(HN_STRUCTURES.index(name))
                if truth.any():
                    scores[name].append(dice((planes[i // 8] >> i % 8 & 1).astype(bool), truth))
        means = {name: float(np.mean(values)) for name, values in scores.items() if values}
        return {**means, "mean": float(np.mean(list(means.values())))}

    return validate


def main() -> None:
    """Train, or resume, in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--run", type=Path, required=True, help="checkpoints and log")
    parser.add_argument("--phantoms", type=Path, help="folder of phantom cases (.npz)")
    parser.add_argument("--budget-s", type=float, default=7200.0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(20261121)
    network = CompactUnet3d(CONFIG)
    nn.init.constant_(network.head.bias, -4.0)
    schedule = Schedule(budget_s=arguments.budget_s, positive_weights=POSITIVE_WEIGHTS)
    run = TrainingRun(network, schedule, arguments.run)
    real = list(openkbp_cases(arguments.data, "train"))
    held_out = list(openkbp_cases(arguments.data, "val"))
    run.train(Sampler(real, arguments.phantoms, seed=run.progress.step), validator(held_out))


if __name__ == "__main__":
    main()

"""Which threshold gives each structure its best Dice, on patients that were trained on; validation stays untouched.

    .venv/bin/python -m training.thresholds --data ../shared/data/openkbp --run runs/hn_oar --patients 24

The thresholds of model_repository/hn_oar/1/contract.json were chosen from this table, the same for left and right.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from evaluation.overlap import dice
from inference.server.networks.compact_unet3d import CompactUnet3d
from inference.server.pipelines.sliding_window import tiled_logits
from inference.server.pipelines.tile_predictor import TILES_AT_ONCE, tile_predictor
from inference.server.pipelines.whole_volume_tiles import mirrored_order
from training.cases import HN_STRUCTURES, Case, openkbp_cases
from training.hn_oar import CONFIG, CONTRACT, ESOPHAGUS

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
LARYNX = HN_STRUCTURES.index("Larynx")


def main() -> None:
    """Print mean Dice a structure and threshold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--run", type=Path, required=True, help="the folder with checkpoint.pt")
    parser.add_argument("--patients", type=int, default=24)
    arguments = parser.parse_args()
    network = CompactUnet3d(CONFIG)
    network.load_state_dict(torch.load(arguments.run / "checkpoint.pt", weights_only=True)["averaged"])
    rare = (case for case in openkbp_cases(arguments.data, "train") if case.drawn[[LARYNX, ESOPHAGUS]].any())
    cases = [case for case, _ in zip(rare, range(arguments.patients), strict=False)]
    for name, row in scores(network.eval(), cases).items():
        print(name, {threshold: round(float(np.mean(values)), 4) for threshold, values in row.items()})


def scores(network: torch.nn.Module, cases: list[Case]) -> dict[str, dict[float, list[float]]]:
    """Dice of each case by structure and threshold, where the structure was drawn."""
    table: dict[str, dict[float, list[float]]] = {name: {t: [] for t in THRESHOLDS} for name in HN_STRUCTURES}
    how = CONTRACT.native.pipeline
    predict = tile_predictor(network, how, mirrored_order(CONTRACT), torch.device("cpu"))
    for case in cases:
        hu = torch.from_numpy(case.hu_zyx).to(torch.float32)
        logits = tiled_logits(hu, predict, how.tile_zyx, how.overlap, batch=TILES_AT_ONCE)
        probability = torch.sigmoid(logits).numpy()
        for index, name in enumerate(HN_STRUCTURES):
            truth = case.mask(index)
            for threshold in THRESHOLDS if truth.any() else ():
                table[name][threshold].append(dice(probability[index] > threshold, truth))
    return table


if __name__ == "__main__":
    main()

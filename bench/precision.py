"""The served predictor in float32 and bfloat16 on the same patients, in turn: CPU seconds, Dice, differing voxels.

    .venv/bin/python -m bench.precision --data ../shared/data/openkbp --out runs/precision

CPU seconds are those of all threads of the process: a busy machine changes them little. Dice is over the patients in
whom the structure was contoured. Each patient is measured in both precisions, one after the other.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inference.contract import ModelContract, load_contract
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.catalogue import load_predictor
from training.cases import Case
from training.openkbp import HN_STRUCTURES, openkbp_cases

MODEL = Path(__file__).resolve().parents[1] / "model_repository" / "hn_oar" / "1"


def main() -> None:
    """Print one row per patient, then the means over patients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    contract = load_contract(MODEL)
    predictors = {name: _predictor(contract, name) for name in ("float32", "bfloat16")}
    rows = []
    for case in openkbp_cases(arguments.data, "val"):
        rows.append(_compared(case, predictors, contract.labels))
        print(json.dumps(rows[-1]), flush=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "precision.json").write_text(json.dumps(rows, indent=1))
    print(json.dumps(_summary(rows), indent=1))


def _predictor(contract: ModelContract, precision: str) -> ServedPredictor:
    document = contract.model_dump(mode="json")
    document["runtime"]["precision"] = precision
    predictor = load_predictor(ModelContract.model_validate(document), MODEL, torch.device("cpu"))
    with torch.inference_mode():
        predictor.warm_up()
    return predictor


def _compared(
    case: Case, predictors: Mapping[str, ServedPredictor], labels: tuple[str, ...]
) -> dict[str, Any]:
    row: dict[str, Any] = {"patient": case.name}
    found = {}
    for name, predictor in predictors.items():
        started = time.process_time()
        with torch.inference_mode():
            planes = predictor.predict(case.hu_zyx, case.spacing_zyx_mm).planes
        row[f"{name} cpu_s"] = round(time.process_time() - started, 2)
        found[name] = [(planes[i // 8] >> i % 8 & 1).astype(bool) for i in range(len(labels))]
    row["voxels"] = int(sum(mask.sum() for mask in found["float32"]))
    row["differ"] = int(sum((a != b).sum() for a, b in zip(found["float32"], found["bfloat16"], strict=True)))
    for name, masks in found.items():
        for label, mask in zip(labels, masks, strict=True):
            truth = case.mask(HN_STRUCTURES.index(label))
            if truth.any():
                row[f"{name} {label}"] = _dice(mask, truth)
    return row


def _dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return round(float(2 * (found & truth).sum() / (found.sum() + truth.sum())), 5)


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {
        key: round(sum(row[key] for row in rows), 2)
        for key in ("float32 cpu_s", "bfloat16 cpu_s", "voxels", "differ")
    }
    for name in ("float32", "bfloat16"):
        means = {
            label: float(np.mean([row[f"{name} {label}"] for row in rows if f"{name} {label}" in row]))
            for label in HN_STRUCTURES
        }
        summary[f"{name} Dice"] = {label: round(mean, 4) for label, mean in means.items()}
        summary[f"{name} mean Dice"] = round(float(np.mean(list(means.values()))), 4)
    return summary


if __name__ == "__main__":
    main()

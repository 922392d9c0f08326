"""Publish a run: averaged weights as safetensors, and the figures of the run in contract.json and the model card."""

import argparse
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes

from inference.contract import CONTRACT_FILE, ModelContract, load_contract, model_versions
from inference.server.networks.catalogue import build_network
from inference.triton_config import pbtxt, triton_config

LARGEST_FILE_BYTES = 20 * 1024 * 1024
_FIGURES = re.compile(r"(<!-- figures -->\n).*?(\n<!-- end of figures -->)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class TrainingFigures:
    """How a run ended: its last validation, and what it took."""

    steps: int
    training_s: float
    dice: dict[str, float]
    mean_dice: float | None


def publish(checkpoint: Path, log: Path | None, version: Path) -> ModelContract:
    """Write weights, contract.json, config.pbtxt and the card's figures; returns the new contract.

    ``version`` is a version's folder of the repository: its contract.json names the network that the weights must
    fit. Raises ValueError where they do not fit or the file would be too large. Nothing is written before everything
    was checked.
    """
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    file, model = version / CONTRACT_FILE, version.parent
    contract = load_contract(version)
    weights = {name: value.contiguous().to(torch.float32) for name, value in state["averaged"].items()}
    try:
        build_network(contract.native.networks["network"]).load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{checkpoint} does not fit the network of {file}: {error}") from error
    content = safetensors_bytes(weights)
    if len(content) > LARGEST_FILE_BYTES:
        raise ValueError(f"the weights take {len(content)} bytes, at most {LARGEST_FILE_BYTES} are published")
    figures = _figures(state["progress"], log, contract.labels)
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    document["checksums"] = {"weights.safetensors": hashlib.sha256(content).hexdigest()}
    document["provenance"] |= {
        "steps": figures.steps,
        "training_s": figures.training_s,
        "validation_dice": figures.dice,
        "validation_mean_dice": figures.mean_dice,
    }
    published = ModelContract.model_validate(document)
    config = pbtxt(triton_config({**model_versions(model), published.version: published}))
    _replace(version / "weights.safetensors", content)
    _replace(file, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    _replace(model / "config.pbtxt", config.encode())
    _write_card(model / "README.md", figures)
    return published


def _figures(progress: dict[str, Any], log: Path | None, labels: tuple[str, ...]) -> TrainingFigures:
    dice: dict[str, float] = {}
    mean = None
    for line in log.read_text(encoding="utf-8").splitlines() if log else ():
        row = json.loads(line)
        if "mean" in row:
            dice, mean = {label: row[label] for label in labels if label in row}, row["mean"]
    return TrainingFigures(
        steps=int(progress["step"]),
        training_s=round(float(progress["spent_s"]), 1),
        dice=dice,
        mean_dice=mean,
    )


def _write_card(card: Path, figures: TrainingFigures) -> None:
    if not card.exists():
        return
    rows = [f"| {label} | {value:.3f} |" for label, value in figures.dice.items()]
    mean = "not measured" if figures.mean_dice is None else f"{figures.mean_dice:.3f}"
    table = "\n".join(
        [
            f"{figures.steps} steps in {figures.training_s / 60:.0f} minutes.",
            "",
            "| structure | Dice |",
            "|---|---|",
            *rows,
            f"| mean | {mean} |",
        ]
    )
    text = card.read_text(encoding="utf-8")
    _replace(card, _FIGURES.sub(lambda match: match[1] + table + match[2], text).encode())


def _replace(file: Path, content: bytes) -> None:
    part = file.with_suffix(".part")
    part.write_bytes(content)
    part.replace(file)


def main() -> None:
    """Publish from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoint.pt of a run")
    parser.add_argument(
        "--log", type=Path, help="log.jsonl of the run, for the figures of its last validation"
    )
    parser.add_argument(
        "--version", type=Path, required=True, help="a version's folder, as model_repository/hn_oar/1"
    )
    arguments = parser.parse_args()
    contract = publish(arguments.checkpoint, arguments.log, arguments.version)
    mean = contract.provenance.validation_mean_dice
    print(f"{contract.name} version {contract.version}: sha256 {contract.package_sha256}, mean Dice {mean}")


if __name__ == "__main__":
    main()

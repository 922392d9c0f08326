"""Publish a run: averaged weights as safetensors, and the figures of the run in spec.json and the model card."""

import argparse
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as safetensors_bytes

from inference.server.networks.catalogue import build
from inference.spec import ModelSpec

LARGEST_FILE_BYTES = 20 * 1024 * 1024
_FIGURES = re.compile(r"(<!-- figures -->\n).*?(\n<!-- end of figures -->)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How a run ended: its last validation, and what it took."""

    steps: int
    training_s: float
    dice: dict[str, float]
    mean_dice: float | None


def publish(checkpoint: Path, log: Path | None, model: Path) -> ModelSpec:
    """Write weights, spec.json and the card's figures of a model folder; returns the new spec.

    The folder's spec.json says which version it is and which network the weights must fit. Raises ValueError where
    they do not fit or the file would be too large. Nothing is written before everything was checked.
    """
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")
    spec_file = model / "spec.json"
    document: dict[str, Any] = json.loads(spec_file.read_text(encoding="utf-8"))
    spec = ModelSpec.model_validate(document)
    weights = {name: value.contiguous().to(torch.float32) for name, value in state["averaged"].items()}
    try:
        build(spec.network).load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{checkpoint} does not fit the network of {spec_file}: {error}") from error
    content = safetensors_bytes(weights)
    if len(content) > LARGEST_FILE_BYTES:
        raise ValueError(f"the weights take {len(content)} bytes, at most {LARGEST_FILE_BYTES} are published")
    figures = _figures(state["progress"], log, spec.labels)
    document["provenance"] |= {
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "steps": figures.steps,
        "training_s": figures.training_s,
        "validation_dice": figures.dice,
        "validation_mean_dice": figures.mean_dice,
    }
    published = ModelSpec.model_validate(document)
    _replace(model / str(spec.version) / "weights.safetensors", content)
    _replace(spec_file, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())
    _write_card(model / "README.md", figures)
    return published


def _figures(progress: dict[str, Any], log: Path | None, labels: tuple[str, ...]) -> Figures:
    dice: dict[str, float] = {}
    mean = None
    for line in log.read_text(encoding="utf-8").splitlines() if log else ():
        row = json.loads(line)
        if "mean" in row:
            dice, mean = {label: row[label] for label in labels if label in row}, row["mean"]
    return Figures(
        steps=int(progress["step"]),
        training_s=round(float(progress["spent_s"]), 1),
        dice=dice,
        mean_dice=mean,
    )


def _write_card(card: Path, figures: Figures) -> None:
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
    parser.add_argument("--model", type=Path, required=True, help="a folder of model_repository")
    arguments = parser.parse_args()
    spec = publish(arguments.checkpoint, arguments.log, arguments.model)
    mean = spec.provenance.validation_mean_dice
    print(f"{spec.name} version {spec.version}: sha256 {spec.provenance.weights_sha256}, mean Dice {mean}")


if __name__ == "__main__":
    main()

"""Publishing puts weights and figures where Triton and the node read them, or writes nothing."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from inference.contract import load_contract
from inference.server.networks.catalogue import build_network
from inference.server.runtimes.native import load_network
from tests.support.tiny_model import make_tiny_model
from training.publish import publish


def run_folder(tmp_path: Path) -> tuple[Path, Path]:
    """A finished run of the tiny network, and a model folder with older weights."""
    contract = make_tiny_model(tmp_path)
    torch.manual_seed(99)
    state = {
        "averaged": build_network(contract.native.networks["network"]).state_dict(),
        "progress": {"step": 321, "spent_s": 65.25},
    }
    checkpoint = tmp_path / "checkpoint.pt"
    torch.save(state, checkpoint)
    rows = [
        {"step": 100, "A": 0.1, "B": 0.2, "mean": 0.15},
        {"step": 321, "A": 0.8124, "B": 0.7, "mean": 0.7562},
        {"step": 321, "loss": 0.3},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = "# tiny\n\n<!-- figures -->\nold\n<!-- end of figures -->\n\n**Limits.** None.\n"
    (tmp_path / "tiny" / "README.md").write_text(card)
    return checkpoint, tmp_path / "tiny" / "1"


def test_averaged_weights_and_the_last_figures_are_published(tmp_path: Path) -> None:
    checkpoint, version = run_folder(tmp_path)

    publish(checkpoint, tmp_path / "log.jsonl", version)

    contract = load_contract(version)
    assert contract.provenance.validation_dice == {"A": 0.8124, "B": 0.7}
    assert contract.provenance.validation_mean_dice == 0.7562
    assert (contract.provenance.steps, contract.provenance.training_s) == (321, 65.2)
    loaded = load_network(
        contract.native.networks["network"], version, contract.checksums["weights.safetensors"]
    ).state_dict()
    expected = torch.load(checkpoint, weights_only=True)["averaged"]
    assert all(torch.equal(loaded[name], value) for name, value in expected.items())
    config = (version.parent / "config.pbtxt").read_text()
    assert contract.package_sha256 in config
    assert (
        contract.package_sha256 == hashlib.sha256((version / "weights.safetensors").read_bytes()).hexdigest()
    )
    card = (version.parent / "README.md").read_text()
    assert "| A | 0.812 |" in card
    assert "| mean | 0.756 |" in card
    assert "old" not in card
    assert card.endswith("**Limits.** None.\n")
    assert not list(version.parent.rglob("*.part"))


def test_without_a_log_the_figures_are_not_measured(tmp_path: Path) -> None:
    checkpoint, version = run_folder(tmp_path)
    assert publish(checkpoint, None, version).provenance.validation_mean_dice is None
    assert "| mean | not measured |" in (version.parent / "README.md").read_text()


def test_a_checkpoint_of_another_network_changes_nothing(tmp_path: Path) -> None:
    checkpoint, version = run_folder(tmp_path)
    before = {file: file.read_bytes() for file in version.parent.rglob("*") if file.is_file()}
    torch.save({"averaged": {"stray": torch.zeros(2)}, "progress": {"step": 1, "spent_s": 1.0}}, checkpoint)
    with pytest.raises(ValueError, match="does not fit the network"):
        publish(checkpoint, None, version)
    assert {file: file.read_bytes() for file in version.parent.rglob("*") if file.is_file()} == before

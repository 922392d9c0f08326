"""Weights are loaded only if they are the contract's; tiles of air are not looked at."""

from pathlib import Path

import pytest
import torch

from inference.contract import ModelContract, NetworkDefinition
from inference.server.networks.catalogue import build_network
from inference.server.pipelines.sliding_window import Predict
from inference.server.pipelines.tile_predictor import tile_predictor
from inference.server.pipelines.whole_volume_tiles import mirrored_order
from inference.server.runtimes.catalogue import load_predictor
from inference.server.runtimes.native import load_network
from tests.support.models import native_runtime
from tests.support.tiny_model import CODES, make_tiny_model

CPU = torch.device("cpu")


def answer_tiles(contract: ModelContract, folder: Path) -> Predict:
    definition = contract.native.networks["network"]
    network = load_network(definition, folder, contract.checksums[definition.weights])
    return tile_predictor(network, contract.native.pipeline, mirrored_order(contract), CPU)


def test_a_network_predicts_logits_of_a_tile_and_skips_air(tmp_path: Path) -> None:
    contract = make_tiny_model(tmp_path)
    predict = answer_tiles(contract, tmp_path / "tiny" / "1")
    with torch.inference_mode():
        logits = predict(torch.stack([torch.zeros((16, 16, 16)), torch.full((16, 16, 16), -800.0)]))
        assert logits.shape == (2, 3, 16, 16, 16)
        assert (logits[0].abs() < 19).all()
        assert (logits[1] == -20).all()
        assert torch.allclose(predict(torch.zeros((1, 16, 16, 16)))[0], logits[0], atol=1e-4)


def test_a_mirrored_tile_gives_the_mirrored_answer_with_partners_changed(tmp_path: Path) -> None:
    plain = make_tiny_model(tmp_path)
    document = plain.model_dump() | {"left_right_pairs": [["A", "C"]]}
    document["runtime"]["pipeline"]["mirror"] = True
    predict = answer_tiles(ModelContract.model_validate(document), tmp_path / "tiny" / "1")
    hu = torch.randn((3, 16, 16, 16), generator=torch.Generator().manual_seed(2)) * 200
    with torch.inference_mode():
        logits, mirrored = predict(hu), predict(hu.flip(-1))
    assert torch.allclose(mirrored[:, [2, 1, 0]].flip(-1), logits, atol=1e-4)


def test_other_weights_and_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    contract = make_tiny_model(tmp_path)
    folder = tmp_path / "tiny" / "1"
    runtime = native_runtime(CODES)
    runtime["networks"]["network"]["parameters"]["channels"] = [4, 6, 8, 12]
    wider = ModelContract.model_validate(contract.model_dump() | {"runtime": runtime})
    with pytest.raises(ValueError, match=r"weights.safetensors does not fit"):
        load_predictor(wider, folder, CPU)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"weights.safetensors: sha256 .* published with"):
        load_predictor(contract, folder, CPU)


@pytest.mark.parametrize(
    ("architecture", "parameters", "reason"),
    [
        ("transformer", {}, "no network architecture 'transformer'; there are: .*compact_unet3d"),
        ("inference.server.networks.compact_unet3d.CompactUnet3d", {}, "no network architecture"),
        ("compact_unet3d", {"depth": 9}, r"compact_unet3d has no parameters \['depth'\]"),
        ("compact_unet3d", {"channels": ["wide", 3]}, "channels.0: Input should be a valid integer"),
    ],
)
def test_an_unknown_architecture_or_parameter_is_refused_by_name(
    architecture: str, parameters: dict[str, object], reason: str
) -> None:
    definition = NetworkDefinition.model_validate({"architecture": architecture, "parameters": parameters})
    with pytest.raises(ValueError, match=reason):
        build_network(definition)

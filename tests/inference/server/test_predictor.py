"""Weights are loaded only if they are the spec's; tiles of air are not looked at."""

from pathlib import Path

import pytest
import torch

from inference.server.networks.catalogue import build
from inference.server.predictor import load_network, tile_predictor
from inference.spec import NetworkSpec
from tests.support.tiny_model import make_tiny_model


def test_a_network_predicts_logits_of_a_tile_and_skips_air(tmp_path: Path) -> None:
    spec = make_tiny_model(tmp_path)
    network = load_network(spec, tmp_path / "tiny" / "1" / "weights.safetensors")
    predict = tile_predictor(network, spec, torch.device("cpu"))
    with torch.inference_mode():
        logits = predict(torch.stack([torch.zeros((16, 16, 16)), torch.full((16, 16, 16), -800.0)]))
        assert logits.shape == (2, 3, 16, 16, 16)
        assert (logits[0].abs() < 19).all()
        assert (logits[1] == -20).all()
        assert torch.allclose(predict(torch.zeros((1, 16, 16, 16)))[0], logits[0], atol=1e-4)


def test_a_mirrored_tile_gives_the_mirrored_answer_with_partners_changed(tmp_path: Path) -> None:
    spec = make_tiny_model(tmp_path)
    network = load_network(spec, tmp_path / "tiny" / "1" / "weights.safetensors")
    pipeline = spec.pipeline.model_copy(update={"mirror": True, "mirrored_pairs": (("A", "C"),)})
    predict = tile_predictor(network, spec.model_copy(update={"pipeline": pipeline}), torch.device("cpu"))
    hu = torch.randn((3, 16, 16, 16), generator=torch.Generator().manual_seed(2)) * 200
    with torch.inference_mode():
        logits, mirrored = predict(hu), predict(hu.flip(-1))
    assert torch.allclose(mirrored[:, [2, 1, 0]].flip(-1), logits, atol=1e-4)


def test_other_weights_and_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    spec = make_tiny_model(tmp_path)
    weights = tmp_path / "tiny" / "1" / "weights.safetensors"
    wider = spec.network.model_copy(update={"parameters": {"out_channels": 3, "channels": (4, 6, 8, 12)}})
    with pytest.raises(ValueError, match="does not fit"):
        load_network(spec.model_copy(update={"network": wider}), weights)
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(ValueError, match="published with"):
        load_network(spec, weights)


def test_an_unknown_architecture_or_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="no network architecture 'transformer'"):
        build(NetworkSpec(architecture="transformer", parameters={}))
    with pytest.raises(ValueError, match="depth"):
        build(NetworkSpec(architecture="compact_unet3d", parameters={"depth": 9}))

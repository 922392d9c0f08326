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
        assert predict(torch.zeros((16, 16, 16))).shape == (3, 16, 16, 16)
        assert (predict(torch.full((16, 16, 16), -800.0)) == -20).all()


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

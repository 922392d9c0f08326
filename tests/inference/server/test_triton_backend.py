"""The model inside a real Triton server says what the pipeline says outside."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.client import TritonClient
from inference.errors import ModelFailed
from inference.server.runtimes.catalogue import load_predictor
from tests.support.tiny_model import make_tiny_model
from tests.support.triton import running_triton
from tests.support.volumes import volume

pytestmark = [pytest.mark.triton, pytest.mark.network]


def noise_ct() -> np.ndarray:
    rng = np.random.default_rng(8)
    array = np.full((24, 90, 100), -1000, np.int16)
    array[2:, 20:80, 10:90] = rng.normal(40, 300, (22, 60, 80)).astype(np.int16)
    return array


def test_masks_from_the_server_are_the_pipelines(tmp_path: Path) -> None:
    contract = make_tiny_model(tmp_path)
    spacing = (2.5, 1.5, 1.5)
    predictor = load_predictor(contract, tmp_path / "tiny" / "1", torch.device("cpu"))
    with torch.inference_mode():
        expected = predictor.predict(noise_ct(), spacing)
    assert expected.planes.any()

    with (
        running_triton(tmp_path / "server", tmp_path / "tiny") as server,
        TritonClient(server.url, shared_memory=True, timeout_s=60) as client,
    ):
        found = client.infer(contract, volume(noise_ct(), spacing))
        with pytest.raises(ModelFailed, match="no image"):
            client.infer(contract, volume(np.zeros((3, 4, 5), np.int16), (2.5, 1e-46, 1.0)))

    assert (found.planes != expected.planes).mean() < 1e-4
    assert found.mean_probability == pytest.approx(expected.mean_probability, abs=1e-3)

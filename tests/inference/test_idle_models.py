"""A model that nobody uses leaves the memory of a real Triton server, and comes back with the next job."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inference.child_process import children_of
from inference.client import TritonClient
from inference.contract import ModelLibrary
from inference.idle_models import IdleModels
from tests.support.tiny_model import make_tiny_model
from tests.support.triton import KNOWN_TENSOR, running_triton, triton_server
from tests.support.volumes import volume

pytestmark = [pytest.mark.triton, pytest.mark.network]
SPACING = (2.5, 4.0, 4.0)
CT = np.random.default_rng(3).normal(40, 300, (16, 20, 24)).astype(np.int16)


def idle(client: TritonClient, repository: Path, after_s: float) -> IdleModels:
    return IdleModels(
        control=client.models, models=ModelLibrary(repository), after_s=after_s, look_every_s=0.0
    )


def loaded(client: TritonClient) -> list[str]:
    return sorted(one.name for one in client.models.loaded())


def wait_for(happened: Callable[[], bool], within_s: float = 30.0) -> bool:
    until = time.monotonic() + within_s
    while not happened() and time.monotonic() < until:
        time.sleep(0.1)
    return happened()


def test_what_nobody_used_for_a_while_is_unloaded_and_loaded_again_when_it_is_needed(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    make_tiny_model(ours, "used")
    make_tiny_model(ours, "rested")
    make_tiny_model(others, "foreign")
    models = ModelLibrary(ours)
    with (
        running_triton(tmp_path, KNOWN_TENSOR, ours / "used", ours / "rested", others / "foreign") as server,
        TritonClient(server.url, shared_memory=True, timeout_s=60) as client,
    ):
        before = children_of(server.process_id)
        for contract in (*models.values(), *ModelLibrary(others).values()):
            client.models.make_ready(contract)
        resting = idle(client, ours, after_s=3.0)
        resting.unload()
        assert loaded(client) == ["foreign", "rested", "used"], "none has rested yet"

        begun = time.monotonic()
        while time.monotonic() - begun < 4.0:
            client.infer(models["used"], volume(CT, SPACING))
            resting.unload()
            time.sleep(0.2)
        assert loaded(client) == ["foreign", "used"], "one never ran, one ran, one is another node's"
        time.sleep(3.1)
        resting.unload()
        assert loaded(client) == ["foreign"]
        assert wait_for(lambda: len(children_of(server.process_id) - before) == 1), "its memory is not freed"
        assert client.infer(models["used"], volume(CT, SPACING)).planes.any()
        resting.unload()
        assert loaded(client) == ["foreign", "used"], "its rest begins anew"


def test_zero_seconds_and_a_server_without_control_unload_nothing(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "models", "tiny")
    everything = triton_server(
        tmp_path / "server", tmp_path / "models" / "tiny", extra_arguments=("--model-control-mode=none",)
    )
    with everything, TritonClient(everything.url, shared_memory=True, timeout_s=60) as client:
        for after_s in (0.0, 0.1):
            resting = idle(client, tmp_path / "models", after_s)
            resting.unload()
            time.sleep(0.2)
            resting.unload()
            assert loaded(client) == ["tiny"]


def test_a_server_that_is_away_is_no_error(tmp_path: Path) -> None:
    make_tiny_model(tmp_path, "tiny")
    with TritonClient("127.0.0.1:1", shared_memory=False, timeout_s=1) as client:
        idle(client, tmp_path, after_s=1.0).unload()

"""Versions side by side in a real Triton server: loaded when needed, unloaded by least use, never mixed up."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.child_process import children_of
from inference.client import TritonClient
from inference.contract import ModelContract
from inference.embedded import EmbeddedTriton
from inference.errors import ModelFailed, ModelUnavailable
from inference.server.runtimes.catalogue import load_predictor
from tests.support.models import moody_contract
from tests.support.tiny_model import make_tiny_model
from tests.support.triton import KNOWN_TENSOR, MOODY, running_triton, triton_server
from tests.support.volumes import volume

pytestmark = [pytest.mark.triton, pytest.mark.network]
SPACING = (2.5, 4.0, 4.0)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packages")
    make_tiny_model(root, "tiny", version=1, seed=5)
    make_tiny_model(root, "tiny", version=2, seed=11)
    make_tiny_model(root, "other", version=1, seed=7)
    return root


@pytest.fixture
def server(tmp_path: Path, packages: Path) -> Iterator[EmbeddedTriton]:
    with running_triton(tmp_path, KNOWN_TENSOR, packages / "tiny", packages / "other", MOODY) as server:
        yield server


def contract(packages: Path, name: str, version: int) -> ModelContract:
    folder = packages / name / str(version)
    return ModelContract.model_validate_json((folder / "contract.json").read_text())


def ct() -> np.ndarray:
    hu = np.random.default_rng(3).normal(40, 300, (16, 20, 24)).astype(np.int16)
    hu[0] = -1000
    return hu


def expected(packages: Path, name: str, version: int) -> np.ndarray:
    folder = packages / name / str(version)
    with torch.inference_mode():
        predictor = load_predictor(contract(packages, name, version), folder, torch.device("cpu"))
        return predictor.predict(ct(), SPACING).planes


def client_of(server: EmbeddedTriton, at_once: int) -> TritonClient:
    return TritonClient(server.url, shared_memory=True, timeout_s=60, models_at_once=at_once)


def loaded(client: TritonClient) -> list[tuple[str, int]]:
    return [(one.name, one.version) for one in client.models.loaded()]


def test_versions_answer_each_with_its_own_weights_and_the_least_used_leaves(
    server: EmbeddedTriton, packages: Path
) -> None:
    with client_of(server, at_once=2) as client:
        client.check()
        assert loaded(client) == [], "nothing is loaded before it is needed"
        for version in (1, 2):
            found = client.infer(contract(packages, "tiny", version), volume(ct(), SPACING)).planes
            assert (found != expected(packages, "tiny", version)).mean() < 1e-3
        assert (expected(packages, "tiny", 1) != expected(packages, "tiny", 2)).mean() > 0.05
        assert sorted(loaded(client)) == [("tiny", 1), ("tiny", 2)]

        time.sleep(0.01)
        client.infer(contract(packages, "tiny", 1), volume(ct(), SPACING))
        client.infer(contract(packages, "other", 1), volume(ct(), SPACING))
        assert sorted(loaded(client)) == [("other", 1), ("tiny", 1)], "version 2 was used least"
        found = client.infer(contract(packages, "tiny", 1), volume(ct(), SPACING)).planes
        assert (found != expected(packages, "tiny", 1)).mean() < 1e-3


def test_one_version_is_unloaded_beside_another_and_all_of_them(
    server: EmbeddedTriton, packages: Path
) -> None:
    with client_of(server, at_once=0) as client:
        for name, version in (("tiny", 1), ("tiny", 2), ("other", 1)):
            client.models.load(contract(packages, name, version))
            client.models.load(contract(packages, name, version))  # again: nothing to do
        assert sorted(loaded(client)) == [("other", 1), ("tiny", 1), ("tiny", 2)]
        client.models.unload("tiny", 1)
        client.models.unload("tiny", 1)
        client.models.unload("absent", 9)
        assert sorted(loaded(client)) == [("other", 1), ("tiny", 2)]
        client.infer(contract(packages, "tiny", 2), volume(ct(), SPACING))
        assert loaded(client) == [("tiny", 2), ("other", 1)], "one that never ran was loaded lately"
        client.models.unload("tiny", 2)
        client.models.unload("other", 1)
        assert loaded(client) == []
        client.check()


def test_a_package_that_differs_from_the_nodes_contract_is_not_served(
    server: EmbeddedTriton, packages: Path
) -> None:
    mine = contract(packages, "tiny", 1)
    foreign = mine.model_copy(update={"checksums": {"weights.safetensors": "f" * 64}})
    renamed = [s.model_copy(update={"code": f"{s.code}_new"}) for s in mine.structures]
    with client_of(server, at_once=2) as client:
        for other in (foreign, mine.model_copy(update={"structures": tuple(renamed)})):
            with pytest.raises(ModelFailed, match="different model repositories"):
                client.infer(other, volume(ct(), SPACING))
            assert loaded(client) == []
        client.infer(mine, volume(ct(), SPACING))
        with pytest.raises(ModelFailed, match="different model repositories"):
            client.infer(foreign, volume(ct(), SPACING))
        with pytest.raises(ModelFailed, match="different model repositories"):
            client.infer(moody_contract(codes=tuple("ABCDEFGHX")), volume(ct(), SPACING))


def test_a_damaged_package_fails_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    make_tiny_model(tmp_path, "tiny")
    damaged = make_tiny_model(tmp_path, "damaged")
    weights = tmp_path / "damaged" / "1" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with (
        running_triton(tmp_path / "t", KNOWN_TENSOR, tmp_path / "tiny", tmp_path / "damaged") as server,
        client_of(server, at_once=2) as client,
    ):
        with pytest.raises(ModelFailed, match=r"weights.safetensors: sha256 .* was published with"):
            client.infer(damaged, volume(ct(), SPACING))
        tiny = contract(tmp_path, "tiny", 1)
        assert client.infer(tiny, volume(ct(), SPACING)).planes.any()


def test_a_model_process_that_is_killed_is_loaded_again(server: EmbeddedTriton, packages: Path) -> None:
    tiny = contract(packages, "tiny", 1)
    with client_of(server, at_once=2) as client:
        before = children_of(server.process_id)
        client.infer(tiny, volume(ct(), SPACING))
        (process,) = children_of(server.process_id) - before
        os.kill(process, signal.SIGKILL)
        time.sleep(0.5)
        assert server.alive(), "the server itself goes on"
        with pytest.raises(ModelUnavailable):
            client.infer(tiny, volume(ct(), SPACING))
        found = client.infer(tiny, volume(ct(), SPACING)).planes
        assert (found != expected(packages, "tiny", 1)).mean() < 1e-3


def test_a_server_that_loads_everything_at_its_start_serves_too(tmp_path: Path, packages: Path) -> None:
    everything = triton_server(tmp_path, packages / "other", extra_arguments=("--model-control-mode=none",))
    with everything, client_of(everything, at_once=1) as client:
        assert client.infer(contract(packages, "other", 1), volume(ct(), SPACING)).planes.any()
        with pytest.raises(ModelUnavailable, match="--model-control-mode=explicit"):
            client.models.make_ready(contract(packages, "tiny", 1))

"""Tensors there and back over both transports, and every way in which a server can disappoint."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imaging.volumes.volume import Volume
from inference.client import TritonClient
from inference.embedded import EmbeddedTriton
from inference.errors import ModelFailed, ModelUnavailable
from inference.shared_region import PREFIX
from tests.support.models import moody_contract
from tests.support.office import eventually
from tests.support.triton import KNOWN_TENSOR, MOODY, running_triton
from tests.support.volumes import air, volume

pytestmark = [pytest.mark.triton, pytest.mark.network]
SLEEP, FAIL, WRONG_TYPE, SPACING = 2001, 2002, 2004, 2005
SHAPE = (20, 61, 73)
LIAR = """
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        seen = {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in ("int16", "fp32", "uint8")}
        lies = {name: ANSWER for name, tensor in seen.items()} | {"checksums": np.zeros(3, np.int64)}
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, tensor) for name, tensor in lies.items()])
"""


@pytest.fixture(params=[True, False], ids=["shared memory", "gRPC"])
def client(request: pytest.FixtureRequest, triton: EmbeddedTriton) -> Iterator[TritonClient]:
    with TritonClient(triton.url, shared_memory=request.param, timeout_s=30) as client:
        yield client


def in_mood(mood: int, spacing_z_mm: float = 2.5) -> Volume:
    array = air(SHAPE)
    array[0, 0, 0] = mood
    return volume(array, (spacing_z_mm, 0.9, 1.1))


def regions() -> set[str]:
    """The regions of this process that still have their name."""
    mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if PREFIX in line}
    opened = {str(Path(link).readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    return {name for name in mapped | opened if PREFIX in name and Path(name).exists()}


def test_a_known_tensor_comes_back_unchanged(client: TritonClient) -> None:
    client.check()


def test_every_voxel_comes_back_in_the_bit_of_its_structure(client: TritonClient) -> None:
    array = air(SHAPE)
    array[3:5, 7:20, 2:9] = 1000
    array[4:6, 30:31, 70:73] = 1007
    array[19, 60, 72] = 1008

    prediction = client.infer(moody_contract(), volume(array))

    assert prediction.planes.shape == (2, *SHAPE)
    assert np.array_equal(prediction.planes[0] & 1, array == 1000)
    assert np.array_equal(prediction.planes[0] >> 7, array == 1007)
    assert np.array_equal(prediction.planes[1], array == 1008)
    assert prediction.mean_probability == pytest.approx(np.linspace(0.1, 0.9, 9))


def test_spacing_crosses_in_the_order_z_y_x(client: TritonClient) -> None:
    prediction = client.infer(moody_contract(), in_mood(SPACING))

    assert prediction.mean_probability[:3] == pytest.approx([2.5, 0.9, 1.1])


def test_an_array_that_is_not_contiguous_crosses_unchanged(client: TritonClient) -> None:
    array = np.full((20, 61, 146), -1000, np.int16)
    array[5, 6, 8] = 1003

    prediction = client.infer(moody_contract(), volume(array[:, ::-1, ::2]))

    assert np.argwhere(prediction.planes[0]).tolist() == [[5, 54, 4]]


def test_an_error_inside_the_model_is_a_failure_with_its_words(client: TritonClient) -> None:
    with pytest.raises(ModelFailed, match="in a bad mood"):
        client.infer(moody_contract(), in_mood(FAIL))


def test_an_answer_of_another_type_is_a_failure(client: TritonClient) -> None:
    with pytest.raises(ModelFailed, match="masks"):
        client.infer(moody_contract(), in_mood(WRONG_TYPE))


def test_a_contract_with_other_structures_than_the_server_is_refused(client: TritonClient) -> None:
    with pytest.raises(ModelFailed, match="different model repositories"):
        client.infer(moody_contract(codes=tuple("ABCDEFGHX")), in_mood(0))


@pytest.mark.parametrize("contract", [moody_contract(name="absent"), moody_contract(version=7)])
def test_a_model_or_version_that_is_not_loaded_is_unavailable(client: TritonClient, contract: object) -> None:
    with pytest.raises(ModelUnavailable, match=r"not found|failed to poll"):
        client.infer(contract, in_mood(0))  # type: ignore[arg-type]


def test_a_model_that_is_not_loaded_is_not_ready(client: TritonClient) -> None:
    client.models.make_ready(moody_contract())
    client.ready("moody")
    with pytest.raises(ModelUnavailable, match="absent is not ready"):
        client.ready("absent")


def test_no_shared_memory_is_left_after_success_or_failure(client: TritonClient) -> None:
    before = regions()
    client.infer(moody_contract(), in_mood(0))
    with pytest.raises(ModelFailed):
        client.infer(moody_contract(), in_mood(FAIL))
    assert regions() <= before


@pytest.mark.parametrize("shared_memory", [True, False])
def test_an_answer_that_takes_too_long_is_unavailable_and_the_next_one_is_right(
    triton: EmbeddedTriton, shared_memory: bool
) -> None:
    with (
        TritonClient(triton.url, shared_memory=shared_memory, timeout_s=0.5) as hasty,
        pytest.raises(ModelUnavailable, match="deadline"),
    ):
        hasty.infer(moody_contract(), in_mood(SLEEP, spacing_z_mm=1.5))
    with TritonClient(triton.url, shared_memory=shared_memory, timeout_s=30) as patient:
        assert patient.infer(moody_contract(), in_mood(1002)).planes[0].sum() == 4
        patient.check()


def test_nobody_at_the_address_is_unavailable() -> None:
    with TritonClient("127.0.0.1:1", shared_memory=True, timeout_s=5) as client:
        assert not client.live()
        for call in (
            client.check,
            lambda: client.ready("moody"),
            lambda: client.infer(moody_contract(), in_mood(0)),
        ):
            with pytest.raises(ModelUnavailable):
                call()


@pytest.mark.parametrize("shared_memory", [True, False])
def test_a_server_killed_in_the_middle_is_unavailable(tmp_path: Path, shared_memory: bool) -> None:
    with (
        running_triton(tmp_path, KNOWN_TENSOR, MOODY) as server,
        TritonClient(server.url, shared_memory=shared_memory, timeout_s=60) as client,
    ):
        before = regions()
        killer = threading.Timer(1.0, os.kill, (server.process_id, signal.SIGKILL))
        killer.start()
        with pytest.raises(ModelUnavailable):
            client.infer(moody_contract(), in_mood(SLEEP, spacing_z_mm=30.0))
        killer.join()
        assert regions() <= before
        eventually(lambda: not server.alive())  # the connection may end before the process has


@pytest.mark.parametrize("answer", ["np.zeros_like(tensor)", "tensor[..., :0]"])
def test_a_server_that_corrupts_tensors_is_found_out_and_numpy_named(tmp_path: Path, answer: str) -> None:
    """What numpy 2 in the server's environment does, played by a model: zeros, or nothing, and no error."""
    lying = tmp_path / "lying" / "known_tensor"
    (lying / "1").mkdir(parents=True)
    (lying / "config.pbtxt").write_text((KNOWN_TENSOR / "config.pbtxt").read_text())
    (lying / "1" / "model.py").write_text(LIAR.replace("ANSWER", answer))
    with running_triton(tmp_path, lying) as server:
        for shared_memory in (True, False):
            with (
                TritonClient(server.url, shared_memory=shared_memory, timeout_s=30) as client,
                pytest.raises(ModelFailed, match="numpy<2"),
            ):
                client.check()

"""The server as a child: it comes up or says why not, and never outlives its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from inference.child_process import children_of, is_running
from inference.client import TritonClient
from inference.embedded import EmbeddedTriton
from inference.errors import ServerNotStarted
from tests.support.triton import ENVIRONMENT, KNOWN_TENSOR, REPOSITORY, running_triton, triton_server

pytestmark = [pytest.mark.triton, pytest.mark.network]

PARENT = """
import sys, time
from pathlib import Path
from tests.support.triton import KNOWN_TENSOR, running_triton
with running_triton(Path(sys.argv[1]), KNOWN_TENSOR) as server:
    print(server.process_id, flush=True)
    time.sleep(120)
"""


def gone(process_id: int, within_s: float = 15.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not is_running(process_id):
            return True
        time.sleep(0.05)
    return False


def test_it_starts_stops_and_starts_again_in_the_same_place(tmp_path: Path) -> None:
    server = triton_server(tmp_path, KNOWN_TENSOR)
    for _ in range(2):
        with server, TritonClient(server.url, shared_memory=True, timeout_s=10) as client:
            client.check()
            process_id = server.process_id
            assert server.alive()
        assert gone(process_id)
        assert not server.alive()
    server.stop()


def test_it_dies_with_a_parent_that_is_killed_and_another_takes_its_place(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, tmp_path]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline())
        models = children_of(process_id)
        assert models
        parent.kill()
    again = EmbeddedTriton(
        python_environment=ENVIRONMENT,
        model_repository=tmp_path / "models",
        working_directory=tmp_path / "triton",
    )
    with again:
        assert again.alive()
        assert gone(process_id)
        assert all(gone(model) for model in models)


def test_a_model_process_that_is_killed_is_noticed(tmp_path: Path) -> None:
    with running_triton(tmp_path, KNOWN_TENSOR) as server:
        (model,) = children_of(server.process_id)
        os.kill(model, signal.SIGKILL)
        assert gone(model)
        assert not server.alive()


def test_a_self_test_that_cannot_load_ends_the_start_with_the_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "known_tensor"
    (broken / "1").mkdir(parents=True)
    (broken / "config.pbtxt").write_text((KNOWN_TENSOR / "config.pbtxt").read_text())
    (broken / "1" / "model.py").write_text("import no_such_package\n")
    server = triton_server(tmp_path, broken)
    with pytest.raises(ServerNotStarted, match="no_such_package"), server:
        pass
    assert not server.alive()


def test_one_working_directory_is_one_server(tmp_path: Path) -> None:
    with running_triton(tmp_path, KNOWN_TENSOR):
        second = EmbeddedTriton(
            python_environment=ENVIRONMENT,
            model_repository=tmp_path / "models",
            working_directory=tmp_path / "triton",
            start_timeout_s=1.0,
        )
        with pytest.raises(ServerNotStarted, match="another embedded Triton server"):
            second.start()


def test_an_environment_without_the_server_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for environment, reason in (
        (tmp_path / "nothing", "no such interpreter"),
        (Path(sys.prefix), "nvidia-pytriton"),
    ):
        server = EmbeddedTriton(
            python_environment=environment,
            model_repository=tmp_path / "models",
            working_directory=tmp_path / "triton",
        )
        with pytest.raises(ServerNotStarted, match=reason):
            server.start()


def test_it_must_be_started_where_it_can_be_watched(tmp_path: Path) -> None:
    server = triton_server(tmp_path, KNOWN_TENSOR)
    with pytest.raises(ServerNotStarted, match="was not started"):
        _ = server.url
    errors: list[RuntimeError] = []

    def start() -> None:
        try:
            server.start()
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])

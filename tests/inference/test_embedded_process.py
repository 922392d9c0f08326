"""The embedded server's process and folder, without Triton: a stub stands for the server."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from inference import embedded_layout
from inference.embedded import EmbeddedTriton, _Running
from inference.embedded_memory import ServerMemory

DEAF = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if child:
    print(child, flush=True)
time.sleep(120)
"""


def deaf_server(tmp_path: Path) -> tuple[EmbeddedTriton, list[int]]:
    """A server that ignores SIGTERM, and a child of it that does."""
    (tmp_path / "models").mkdir()
    process = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.stdout.close()
    server = EmbeddedTriton(
        python_environment=Path(sys.prefix),
        model_repository=tmp_path / "models",
        working_directory=tmp_path / "triton",
    )
    lock = (tmp_path / "lock").open("w")
    server._running = _Running(process=process, memory=ServerMemory(), lock=lock)
    return server, [process.pid, child]


def test_a_server_that_ignores_sigterm_is_killed_with_its_models(tmp_path: Path) -> None:
    server, processes = deaf_server(tmp_path)
    began = time.monotonic()
    server.stop(0.5)
    assert time.monotonic() - began < 60
    deadline = time.monotonic() + 30
    while any(map(_runs, processes)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_runs_is_not_started_again(tmp_path: Path) -> None:
    server, _ = deaf_server(tmp_path)
    try:
        with pytest.raises(RuntimeError, match="started before"):
            server.start()
    finally:
        server.stop(0.1)


def test_a_link_to_another_environment_is_replaced(tmp_path: Path) -> None:
    old, new, link = tmp_path / "old", tmp_path / "new", tmp_path / "at" / "bin"
    for target in (old, old, new):
        target.mkdir(exist_ok=True)
        embedded_layout._link(link, target)
        assert link.readlink() == target
    link.unlink()
    link.mkdir()
    (link / "file").write_text("an earlier version copied")
    embedded_layout._link(link, new)
    assert link.readlink() == new


def _runs(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

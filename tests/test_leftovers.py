"""What a test leaves behind is found, and by the session that it belongs to."""

import os
import socket
import subprocess
import sys

import pytest

from inference.shared_region import SharedRegion
from tests import plugin_leftovers
from tests.plugin_leftovers import MARK, leftovers


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_leftovers, "PATIENCE_S", 0.5)


def test_a_process_is_found_by_its_mark_even_where_its_parent_is_gone() -> None:
    orphan = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdout=-3, stderr=-3).pid)"
    made = subprocess.run(
        [sys.executable, "-c", orphan],
        env={**os.environ, MARK: "this"},
        capture_output=True,
        text=True,
        check=True,
    )
    process_id = int(made.stdout)
    try:
        assert any(line.startswith(f"process {process_id}: ") for line in leftovers("this"))
        assert not any(str(process_id) in line for line in leftovers("another"))
    finally:
        os.kill(process_id, 9)
    assert not any(str(process_id) in line for line in leftovers("this"))


def test_a_listening_socket_and_a_region_of_shared_memory_are_found() -> None:
    before = set(leftovers("none"))
    with socket.create_server(("127.0.0.1", 0)) as server, SharedRegion(4096) as region:
        found = set(leftovers("none")) - before
        assert any(str(server.getsockname()[1]) in line for line in found)
        assert any(region.name in line for line in found)
    assert set(leftovers("none")) == before
